package simulate

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/rival"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/trace"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/world"
)

// Request is what is to be tried out, on what, in which world.
type Request struct {
	Subject // with defaults
	World   world.Options
	Trace   trace.Source
	// Compare runs the algorithms of the field beside Farmhand.
	Compare bool
	// Progress is told the share that is done, 0 to 1, from several goroutines but never at once; nil: nobody.
	Progress func(done float64)
}

// Report is what came of it: Farmhand first, the others as in rival.All.
type Report struct {
	Trace   string         `json:"trace"`
	Target  string         `json:"target"` // what counts as the target, in words
	Results []world.Result `json:"results"`
}

// FarmhandName is Farmhand's among the pilots.
const FarmhandName = "farmhand"

// Run tries the role out. The same request gives the same report.
func Run(ctx context.Context, q Request) (Report, error) {
	q.World.SetDefaults()
	if err := q.Validate(); err != nil {
		return Report{}, err
	}
	if err := q.World.Validate(); err != nil {
		return Report{}, err
	}
	a := q.aim(q.World)
	report := Report{Trace: q.Trace.Name(), Target: a.String()}
	envelope := world.Envelope{Min: q.Role.Min, Max: q.Role.Max, Line: a.line, Metric: a.metric, Drain: q.Role.Drain.Std()}

	own := &world.Farmhand{Role: q.Role, Policies: q.Policies}
	runs := []run{{name: FarmhandName, source: "internal/engine, as the sidecar runs it", pilot: own}}
	if q.Compare {
		for _, r := range rival.All() {
			algorithm, err := r.New(envelope, q.World, q.Trace)
			if err != nil {
				return Report{}, err
			}
			runs = append(runs, run{name: r.Name, source: r.Source, pilot: &world.Numbers{Algorithm: algorithm, Envelope: envelope, Target: a.target}})
		}
	}
	progress := newProgress(q.Progress, len(runs))
	errs := make([]error, len(runs))
	report.Results = make([]world.Result, len(runs))
	var group sync.WaitGroup
	places := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, r := range runs {
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			job := world.Job{Options: q.World, Envelope: envelope, Trace: q.Trace, Pilot: r.pilot, Progress: progress.of(i)}
			result, err := world.Run(ctx, job)
			result.Pilot, result.Source = r.name, r.source
			report.Results[i], errs[i] = result, err
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return Report{}, err
		}
	}
	if broken := own.Broken(); len(broken) > 0 {
		return Report{}, fmt.Errorf("the engine decided what cannot be done, %d times, first: %s. This is a fault in Farmhand: please report it with the trace and the policies", len(broken), broken[0])
	}
	return report, nil
}

type run struct {
	name, source string
	pilot        world.Pilot
}

// progress is the mean over runs side by side.
type progress struct {
	mu   sync.Mutex
	tell func(float64)
	done []float64
}

func newProgress(tell func(float64), n int) *progress {
	return &progress{tell: tell, done: make([]float64, n)}
}

func (p *progress) of(i int) func(float64) {
	if p.tell == nil {
		return nil
	}
	return func(done float64) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.done[i] = done
		sum := 0.0
		for _, d := range p.done {
			sum += d / float64(len(p.done))
		}
		p.tell(sum)
	}
}
