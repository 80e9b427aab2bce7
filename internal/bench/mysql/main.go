// Command mysql measures what a lost primary costs, and writes docs/benchmarks-mysql.md: what `make bench-mysql` runs.
//
// It applies a farm with one database role of three servers for real, writes to it without a pause, and takes its primary away,
// again and again: killed, paused, cut off from the network, and as planned. Every acknowledged row is looked for afterwards. No
// number is a pass or a failure here, but a lost row is: the exit status is then 1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/farmhand/terraform-provider-farmhand/internal/e2e/live"
)

func main() {
	var n counts
	flag.IntVar(&n.kills, "kills", 20, "primaries to kill")
	flag.IntVar(&n.pauses, "pauses", 5, "primaries to pause")
	flag.IntVar(&n.cuts, "cuts", 5, "primaries to cut off from the network")
	flag.IntVar(&n.planned, "planned", 5, "planned changes")
	flag.IntVar(&n.bulks, "bulks", 3, "rounds of what is done with 260 MB")
	flag.IntVar(&n.rate, "rate", 1000, "rows a second that the eight connections write; 0: as fast as they are answered")
	out := flag.String("o", "docs/benchmarks-mysql.md", "page to write; empty for none")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	table, err := run(ctx, n)
	if err == nil && n.bulks > 0 {
		var feats []feat
		feats, err = bulk(ctx, n.bulks, n.rate/2)
		table += bulkReport(feats)
	}
	fmt.Print("\n" + table)
	if err == nil && *out != "" {
		err = write(*out, table)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-mysql:", err)
		os.Exit(1)
	}
}

type counts struct{ kills, pauses, cuts, planned, bulks, rate int }

func write(file, table string) error {
	project, err := live.Project()
	if err != nil {
		return err
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(project, file)
	}
	return os.WriteFile(file, []byte(page(table)), 0o644)
}

func run(ctx context.Context, n counts) (table string, err error) {
	if n.kills+n.pauses+n.cuts+n.planned == 0 {
		return "", nil
	}
	b, err := begin(ctx, hcl, n.rate)
	if err != nil {
		return "", err
	}
	defer func() {
		if end := b.end(context.WithoutCancel(ctx)); err == nil {
			err = end
		}
	}()
	var kinds []kind
	for _, k := range []struct {
		name, bound string
		times       int
		act         func(context.Context) (after func(context.Context) int, err error)
	}{
		{"killed (`docker kill`)", "≤ 3 s median", n.kills, b.kill},
		{"hangs (`docker pause`)", "≤ 10 s", n.pauses, b.pause},
		{"cut off from the network", "≤ 10 s", n.cuts, b.cut},
		{"planned (`farmhand failover`)", "≤ 1.5 s", n.planned, b.plan},
	} {
		found := kind{name: k.name, bound: k.bound}
		for i := range k.times {
			t, err := b.trial(ctx, k.act)
			if err != nil {
				return report(append(kinds, found), b), fmt.Errorf("%s, trial %d: %w", k.name, i+1, err)
			}
			fmt.Printf("%s, trial %d: gap %s, %d written a second, %d lost, %d accepted by the old one, %d errors\n", k.name, i+1, t.gap.Round(1e6), t.rate, t.lost, t.accepted, t.errors)
			found.trials = append(found.trials, t)
		}
		kinds = append(kinds, found)
	}
	table = report(kinds, b)
	for _, k := range kinds {
		for _, t := range k.trials {
			if t.lost+t.accepted > 0 {
				err = errors.New("acknowledged rows were lost, or two servers took writes")
			}
		}
	}
	return table, err
}
