package sidecar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/declared"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/report"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/trace"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/world"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// simulateFlags are what `farmhand simulate` was asked for.
type simulateFlags struct {
	// the role
	plan, spec, farm, role string
	min, max               int
	metric                 string
	minutes                int
	target, tolerance      float64
	cooldown, window       time.Duration
	drain                  time.Duration
	// the trace
	shape             string
	allShapes         bool
	days, low, high   float64
	step              time.Duration
	column, series    string
	gaps              string
	perServer         bool
	servers           int
	scale, shapeNoise float64
	// the world
	world world.Options
	// what is shown
	compare, asJSON, markdown, noChart bool
	svg, png                           string
}

func newSimulate() *cobra.Command {
	var f simulateFlags
	cmd := &cobra.Command{
		Use:   "simulate [TRACE]",
		Short: "Try a role's policies out on a trace, before they run",
		Long: `Lets a trace of demand go by in virtual time and runs the sidecar's own engine on it: what the role's policies would
have done, what it would have cost, and for how long it would have been above its target. --compare runs the
algorithms of the field beside it.

TRACE is a CSV file of time and demand, or the JSON that aws cloudwatch get-metric-data, get-metric-statistics or
Prometheus' /api/v1/query_range answer. Without one, --shape makes one.

The role comes from a plan or state (--plan, what terraform show -json printed), from the store of a farm that runs
(--farm, --role), from a file (--spec), or from --min, --max, --target and so on alone. The latter also change what
the others say: that is how a policy change is tried out.

Demand is in a unit of your own. --capacity says how much of it one server takes when it is just busy all the time;
without it, demand is counted in load average, as in 6 over 3 servers is 2 on each.`,
		Example: `  farmhand simulate traffic.csv --plan plan.json --role web --capacity 40 --boot-time 2m
  farmhand simulate traffic.csv --farm shop --role web --target 1.2      # as it runs, with another target
  farmhand simulate --shape flash-crowd --min 2 --max 30 --metric load_average --target 1.4 --compare
  farmhand simulate cpu.json --per-server --servers 4 --scale 0.01 --capacity 1 --metric cpu --target 0.6 --max 20
  farmhand simulate --all-shapes --compare --max 30 --target 1.4 --json`,
		Args: cobra.MaximumNArgs(1),
	}
	fl := cmd.Flags()
	fl.StringVar(&f.plan, "plan", "", "plan or state as terraform show -json prints it")
	fl.StringVar(&f.spec, "spec", "", `file with {"role": {...}, "policies": [...]} as the store holds them`)
	fl.StringVar(&f.farm, "farm", "", "farm of this state directory's store")
	fl.StringVar(&f.role, "role", "", "role of the farm or plan: its name, or its id or address in a plan")
	fl.IntVar(&f.min, "min", 1, "fewest servers")
	fl.IntVar(&f.max, "max", 20, "most servers")
	fl.StringVar(&f.metric, "metric", spec.LoadAverage, "metric of --target: load_average or cpu")
	fl.IntVar(&f.minutes, "minutes", spec.DefaultLoadMinutes, "1, 5 or 15, of load_average")
	fl.Float64Var(&f.target, "target", 0, "target of one policy in place of the declared ones")
	fl.Float64Var(&f.tolerance, "tolerance", spec.DefaultTolerance, "of --target")
	fl.DurationVar(&f.cooldown, "cooldown", spec.DefaultCooldown.Std(), "of --target")
	fl.DurationVar(&f.window, "window", spec.DefaultWindow.Std(), "of --metric")
	fl.DurationVar(&f.drain, "drain", spec.DefaultDrain.Std(), "from leaving service to the end of a server")

	fl.StringVar(&f.shape, "shape", "", "make the trace: "+strings.Join(trace.Shapes(), ", "))
	fl.BoolVar(&f.allShapes, "all-shapes", false, "one run on each shape")
	fl.Float64Var(&f.days, "days", 7, "length of a shape")
	fl.DurationVar(&f.step, "step", 10*time.Second, "distance of a shape's points")
	fl.Float64Var(&f.low, "low", 2, "demand of a shape at its quietest")
	fl.Float64Var(&f.high, "high", 20, "demand of a shape at its highest")
	fl.Float64Var(&f.shapeNoise, "shape-noise", 0.05, "noise of a shape's points, as a share")
	fl.StringVar(&f.column, "column", "", "column of a CSV file that holds the demand")
	fl.StringVar(&f.series, "series", "", "id or label of one metric among several of CloudWatch")
	fl.StringVar(&f.gaps, "gaps", "", "what becomes of a gap: refuse, hold, linear, zero (default refuse)")
	fl.BoolVar(&f.perServer, "per-server", false, "the trace is a metric's average over servers: multiply it by their number (column servers, or --servers)")
	fl.IntVar(&f.servers, "servers", 0, "how many servers a --per-server trace is the average of")
	fl.Float64Var(&f.scale, "scale", 1, "multiply every value of the trace: 0.01 makes shares of per cent")

	fl.DurationVar(&f.world.BootTime, "boot-time", 90*time.Second, "from launch to serving (with --farm: the longest of its servers')")
	fl.Float64Var(&f.world.BootJitter, "boot-jitter", 0.1, "how far a boot strays from that, as a share")
	fl.Float64Var(&f.world.Capacity, "capacity", 0, "demand that one server takes when it is just busy all the time (default: --cores)")
	fl.Float64Var(&f.world.Cores, "cores", 2, "cores of a server: its load average when it is just busy all the time")
	fl.Float64Var(&f.world.Noise, "noise", 0.02, "noise of each server's samples, as a share")
	fl.DurationVar(&f.world.MeanLife, "mean-life", 0, "mean time until a server crashes, as in 720h (default: never)")
	fl.Float64Var(&f.world.FailLaunches, "fail-launches", 0, "share of launches that do not come up")
	fl.Uint64Var(&f.world.Seed, "seed", 1, "of chance: the same seed, the same run")
	fl.DurationVar(&f.world.Tick, "tick", 10*time.Second, "between two decisions")

	fl.BoolVar(&f.compare, "compare", false, "run the algorithms of the field beside it")
	fl.BoolVar(&f.noChart, "no-chart", false, "print no chart")
	fl.BoolVar(&f.asJSON, "json", false, "print JSON")
	fl.BoolVar(&f.markdown, "markdown", false, "print tables in Markdown, and no chart")
	fl.StringVar(&f.svg, "svg", "", "write a picture to this file")
	fl.StringVar(&f.png, "png", "", "write a picture to this file")
	cmd.MarkFlagsMutuallyExclusive("plan", "spec", "farm")
	cmd.MarkFlagsMutuallyExclusive("shape", "all-shapes")
	cmd.MarkFlagsMutuallyExclusive("json", "markdown")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) }
	return cmd
}

func (f *simulateFlags) run(cmd *cobra.Command, args []string) error {
	traces, err := f.traces(args)
	if err != nil {
		return err
	}
	if f.allShapes && (f.svg != "" || f.png != "") {
		return usage("a picture is of one trace: name one with --shape")
	}
	subject, err := f.subject(cmd)
	if err != nil {
		return err
	}
	bar := newBar(cmd.ErrOrStderr())
	var reports []simulate.Report
	for i, source := range traces {
		r, err := simulate.Run(cmd.Context(), simulate.Request{
			Subject: subject, World: f.world, Trace: source, Compare: f.compare,
			Progress: func(done float64) { bar.tell((float64(i) + done) / float64(len(traces))) },
		})
		if errors.Is(err, context.Canceled) {
			return errors.New("stopped")
		}
		if err != nil {
			bar.clear()
			return err
		}
		reports = append(reports, r)
	}
	bar.clear()
	for format, path := range map[string]string{"svg": f.svg, "png": f.png} {
		if path == "" {
			continue
		}
		if err := report.Picture(path, format, reports[0]); err != nil {
			return err
		}
	}
	return f.print(cmd.OutOrStdout(), reports)
}

func (f *simulateFlags) print(w io.Writer, reports []simulate.Report) error {
	if f.asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		if f.allShapes {
			return e.Encode(reports)
		}
		return e.Encode(reports[0])
	}
	p := colours(w)
	for i, r := range reports {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if f.markdown {
			fmt.Fprintf(w, "### %s\n\n%s", r.Trace, report.Markdown(r))
			if v, ok := report.Judge(r); ok {
				fmt.Fprintf(w, "\n%s\n", v)
			}
			continue
		}
		if !f.noChart && len(reports) == 1 {
			if err := report.Chart(w, r.Results[0], widthOf(w), p.on); err != nil {
				return err
			}
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s, target %s\n", p.bold(r.Trace), r.Target)
		if err := report.Table(w, r); err != nil {
			return err
		}
		if v, ok := report.Judge(r); ok {
			fmt.Fprintln(w, v)
		}
	}
	return nil
}

// traces are the file or the shapes that are meant.
func (f *simulateFlags) traces(args []string) ([]trace.Source, error) {
	if len(args) > 0 {
		if f.shape != "" || f.allShapes {
			return nil, usage("a trace and a shape are both given: keep one of them")
		}
		gaps, err := trace.ParseGaps(f.gaps)
		if err != nil {
			return nil, usage("--gaps: %w", err)
		}
		source, err := trace.Open(args[0], trace.Options{Column: f.column, Series: f.series, Gaps: gaps, PerServer: f.perServer, Servers: f.servers, Scale: f.scale})
		if err != nil {
			return nil, err
		}
		return []trace.Source{source}, nil
	}
	kinds := []string{f.shape}
	switch {
	case f.allShapes:
		kinds = trace.Shapes()
	case f.shape == "":
		return nil, usage("there is no trace: name a file, or a shape (--shape %s)", strings.Join(trace.Shapes(), "|"))
	}
	var all []trace.Source
	for _, kind := range kinds {
		s := trace.Shape{Kind: kind, Seed: f.world.Seed, Length: time.Duration(f.days * 24 * float64(time.Hour)), Step: f.step, Low: f.low, High: f.high, Noise: f.shapeNoise}
		s.SetDefaults()
		if err := s.Validate(); err != nil {
			return nil, usage("%w", err)
		}
		all = append(all, s)
	}
	return all, nil
}

// subject is the role as declared, changed by the flags that were given.
func (f *simulateFlags) subject(cmd *cobra.Command) (s simulate.Subject, err error) {
	given := cmd.Flags().Changed
	switch {
	case f.plan != "":
		s, err = declared.FromPlan(f.plan, f.role)
	case f.spec != "":
		s, err = declared.FromFile(f.spec)
	case f.farm != "":
		s, err = f.fromStore(cmd)
	default:
		s.Role.Min, s.Role.Max, s.Role.Name = f.min, f.max, f.role
		if !given("target") {
			return s, usage("there is no policy to try out: give a --target, or name the role as declared (--plan, --farm and --role, --spec)")
		}
		s.SetDefaults()
	}
	if err != nil {
		return s, err
	}
	if given("min") {
		s.Role.Min = f.min
	}
	if given("max") {
		s.Role.Max = f.max
	}
	if given("drain") {
		s.Role.Drain = spec.Duration(f.drain)
	}
	if given("target") {
		target := f.target
		p := spec.Policy{Target: &target, Tolerance: f.tolerance, Cooldown: spec.Duration(f.cooldown),
			Metric: &spec.Metric{Kind: f.metric, Window: spec.Duration(f.window)}}
		if f.metric == spec.LoadAverage {
			p.Metric.Minutes = f.minutes
		}
		// Schedules stay: they say how many there may be, not when.
		made := p
		made.Farm, made.Role = s.Role.Farm, s.Role.Name
		made.SetDefaults()
		made.Tolerance, made.Cooldown = p.Tolerance, p.Cooldown // also where they are zero
		s.Policies = append(slices.DeleteFunc(s.Policies, func(p spec.Policy) bool { return p.Schedule == nil }), made)
		return s, nil
	}
	for _, name := range []string{"metric", "minutes", "tolerance", "cooldown", "window"} {
		if given(name) {
			return s, usage("--%s is of the policy that --target makes: give that too", name)
		}
	}
	return s, nil
}

func (f *simulateFlags) fromStore(cmd *cobra.Command) (s simulate.Subject, err error) {
	if f.role == "" {
		return s, usage("--farm needs a --role")
	}
	db, _, err := storeOf(cmd)
	if err != nil {
		return s, err
	}
	defer db.Close()
	farm, err := theFarm(cmd.Context(), db, []string{f.farm})
	if err != nil {
		return s, err
	}
	s, boot, err := declared.FromStore(cmd.Context(), db, farm, f.role)
	if errors.Is(err, store.ErrNotFound) {
		return s, absent("farm %s has no role %q", farm, f.role)
	}
	if boot > 0 && !cmd.Flags().Changed("boot-time") {
		f.world.BootTime = boot.Round(time.Second)
	}
	return s, err
}

// widthOf is the width of the terminal, or of a page.
func widthOf(w io.Writer) int {
	if file, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil {
			return width
		}
	}
	return 100
}

// bar shows progress on a terminal once a run takes long.
type bar struct {
	*progressbar.ProgressBar
	began time.Time
}

const barAfter = time.Second

func newBar(w io.Writer) *bar {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return &bar{}
	}
	return &bar{began: time.Now(), ProgressBar: progressbar.NewOptions(1000,
		progressbar.OptionSetWriter(file), progressbar.OptionSetDescription("simulating"), progressbar.OptionClearOnFinish(),
		progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond))}
}

func (b *bar) tell(done float64) {
	if b.ProgressBar != nil && time.Since(b.began) > barAfter {
		_ = b.Set(int(done * 1000))
	}
}

func (b *bar) clear() {
	if b.ProgressBar != nil {
		_ = b.Clear()
	}
}
