// Command page writes docs/benchmarks-simulation.md: Farmhand's defaults beside the algorithms of the field, on every
// shape of trace, as it falls out. `go run ./internal/simulate/page` from the project's folder.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/report"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/rival"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/trace"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/world"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

func main() {
	out := flag.String("o", "docs/benchmarks-simulation.md", "page to write")
	days := flag.Float64("days", 7, "length of each trace")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	page, err := write(ctx, time.Duration(*days*24*float64(time.Hour)))
	if err == nil {
		err = os.WriteFile(*out, []byte(page), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "page:", err)
		os.Exit(1)
	}
}

// One role for all traces: everything that is not said is Farmhand's default.
var (
	envelope = spec.Role{Min: 2, Max: 30}
	options  = world.Options{BootTime: 90 * time.Second, BootJitter: 0.1, Noise: 0.02, Seed: 1}
	metrics  = []struct {
		kind, words, flags string
		target             float64
	}{
		{spec.LoadAverage, "One-minute load average, target 1.4", "--metric load_average --target 1.4", 1.4},
		{spec.CPU, "CPU, target 0.7", "--metric cpu --target 0.7", 0.7},
	}
)

const shapeNoise = 0.05

func write(ctx context.Context, length time.Duration) (string, error) {
	var b strings.Builder
	b.WriteString(introduction)
	for _, m := range metrics {
		var calm, best, cheap int
		var tables strings.Builder
		for _, kind := range trace.Shapes() {
			target := m.target
			s := simulate.Subject{Role: envelope, Policies: []spec.Policy{{Metric: &spec.Metric{Kind: m.kind}, Target: &target}}}
			s.SetDefaults()
			shape := trace.Shape{Kind: kind, Seed: 1, Length: length, Noise: shapeNoise}
			r, err := simulate.Run(ctx, simulate.Request{Subject: s, World: options, Trace: shape, Compare: true})
			if err != nil {
				return "", err
			}
			verdict, _ := report.Judge(r)
			if len(verdict.Calmer) == 0 {
				calm++
				if verdict.OverBest == "" {
					best++
				}
				if verdict.OverCheapest == "" {
					cheap++
				}
			}
			fmt.Fprintf(&tables, "\n### %s\n\n%s\n%s\n", kind, report.Markdown(r), verdict)
		}
		fmt.Fprintf(&b, "\n## %s\n\nOf %d shapes, farmhand was above target for no longer than any of them on %d; "+
			"the bar is met on %d if the best is the calmest, and on %d if it is the cheapest.\n%s", m.words, len(trace.Shapes()), calm, best, cheap, tables.String())
		fmt.Fprintf(&b, "\nThe same on the command line: `farmhand simulate --all-shapes --compare --markdown --min 2 --max 30 %s`.\n", m.flags)
	}
	b.WriteString("\n## The algorithms and their sources\n\n")
	for _, r := range rival.All() {
		fmt.Fprintf(&b, "- **%s**: %s.\n", r.Name, r.Source)
	}
	return b.String(), nil
}

const introduction = `# Farmhand beside the field, in simulation

Written by ` + "`go run ./internal/simulate/page`" + `, as it falls out: one role, one policy with Farmhand's defaults, the same
world and the same seed for all, nothing tuned for any trace, lost rows included. How to read it, and how to run it on
traffic of your own, is in [the guide](guides/simulate.md).

Seven days, one decision every ten seconds, demand from 2 to 20 with 5 % noise on each point, 2 to 30 servers of two cores
that take a demand of 2 each and boot for 90 s ± 10 %, samples with 2 % noise, drain 10 s. All have the same target, get
their measurements without delay, and what fails is replaced for them at once. **min > target** counts every instant in
which a server had more to bear than the target, however little more; **min > target+10%** only what is beyond the
usual tolerance. **Foresight** is no competitor: it knows the trace, and shows what was to be had.

The bar: fewer minutes above target than each algorithm, at no more instance-hours than the best of them and a tenth.
The best is read in both ways: the calmest (least time above target), and the cheapest. Where foresight itself takes
more than the cheapest and a tenth, nobody can meet the latter and stay at the target.
`
