package source

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// clouds are SQS and CloudWatch in virtual time.
type clouds struct {
	mu    sync.Mutex
	depth float64
	err   error
	calls []string
}

func (c *clouds) Depth(context.Context, spec.SQSMetric) (float64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.depth, c.err
}

func (c *clouds) answers(depth float64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.depth, c.err = depth, err
}

func (c *clouds) Data(_ context.Context, region string, queries []spec.CloudWatchMetric, from, to time.Time) ([][]state.Point, []error) {
	names := []string{region}
	points, errs := make([][]state.Point, len(queries)), make([]error, len(queries))
	for i, q := range queries {
		names = append(names, q.Name)
		switch q.Name {
		case "Empty":
		case "Forbidden":
			errs[i] = errors.New("may not be read")
		default: // whole minutes, in disorder, some again and again
			for at := to.Truncate(time.Minute); !at.Before(from); at = at.Add(-time.Minute) {
				points[i] = append(points[i], state.Point{At: at, Value: float64(at.Minute())})
			}
		}
	}
	c.mu.Lock()
	c.calls = append(c.calls, strings.Join(names, " "))
	c.mu.Unlock()
	return points, errs
}

func of(id string, m spec.Metric) Question {
	one := 1.0
	p := spec.Policy{Metric: &m, Target: &one}
	p.SetDefaults()
	return Question{ID: id, Metric: *p.Metric}
}

func queue() spec.Metric {
	return spec.Metric{Kind: spec.SQSQueue, SQS: &spec.SQSMetric{QueueURL: "https://sqs.eu-west-1.amazonaws.com/123456789012/mail"}}
}

func none(string) state.Series { return state.Series{} }

// TestAsker: asked in its rhythm, kept for its window, and failing without harm to what was known.
func TestAsker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		cloud, saved := &clouds{depth: 5}, sync.Map{}
		a := NewAsker(cloud, func(_ context.Context, id string, s state.Series) error { saved.Store(id, s); return nil })
		done := make(chan struct{})
		go func() { a.Run(ctx); close(done) }()
		a.Follow([]Question{of("web/sqs", queue())}, none)
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if s := a.Series("web/sqs"); len(s.Points) != 3 || s.Points[1].Value != 5 || s.Points[2].At.Sub(s.Points[1].At) != 15*time.Second || s.Problem != "" {
			t.Errorf("after half a minute: %+v", s)
		}
		cloud.answers(0, errors.New("no such queue"))
		time.Sleep(15 * time.Second)
		synctest.Wait()
		kept, _ := saved.Load("web/sqs")
		if s := kept.(state.Series); len(s.Points) != 3 || s.Problem != "no such queue" {
			t.Errorf("after a failure: %+v", s)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if s := a.Series("web/sqs"); len(s.Points) != 0 || s.Problem == "" {
			t.Errorf("after failing for longer than its window: %+v", s)
		}
		cloud.answers(-4, nil)
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if s := a.Series("web/sqs"); len(s.Points) != 0 || !strings.Contains(s.Problem, "negative") {
			t.Errorf("after a negative answer: %+v", s)
		}
		stop()
		<-done
	})
}

// TestAskerAgain: a restarted sidecar has its window, unless another metric is asked for.
func TestAskerAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		cloud := &clouds{depth: 5}
		a := NewAsker(cloud, func(context.Context, string, state.Series) error { return nil })
		q := of("web/sqs", queue())
		former := state.Series{Key: q.Metric.Key(), Asked: time.Now().Add(-5 * time.Second), Points: []state.Point{{At: time.Now().Add(-5 * time.Second), Value: 3}}}
		a.Follow([]Question{q}, func(string) state.Series { return former })
		go a.Run(ctx)
		synctest.Wait()
		if s := a.Series("web/sqs"); len(s.Points) != 1 || s.Points[0].Value != 3 {
			t.Errorf("what was kept is %+v", s)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if s := a.Series("web/sqs"); len(s.Points) != 2 {
			t.Errorf("in its rhythm: %+v", s)
		}
		other := queue()
		other.SQS.QueueURL += "-2"
		a.Follow([]Question{of("web/sqs", other)}, none)
		synctest.Wait()
		if s := a.Series("web/sqs"); len(s.Points) != 1 || s.Points[0].Value != 5 {
			t.Errorf("of another queue: %+v", s)
		}
		a.Follow(nil, none)
		if s := a.Series("web/sqs"); s.Key != "" {
			t.Errorf("of a policy that is gone: %+v", s)
		}
	})
}

// TestAskerTogether: what is due of one region is one call; each has its own outcome.
func TestAskerTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		cloud := &clouds{}
		a := NewAsker(cloud, func(context.Context, string, state.Series) error { return nil })
		watch := func(name, region string) Question {
			return of("web/"+name, spec.Metric{Kind: spec.CloudWatch, CloudWatch: &spec.CloudWatchMetric{Namespace: "Shop", Name: name, Region: region}})
		}
		age := queue()
		age.SQS.Measure = spec.OldestAge
		a.Follow([]Question{watch("A", "eu-west-1"), watch("Empty", "eu-west-1"), watch("Forbidden", "eu-west-1"), watch("B", "us-east-1"), of("web/age", age)}, none)
		go a.Run(ctx)
		time.Sleep(121 * time.Second)
		synctest.Wait()
		if len(cloud.calls) != 6 {
			t.Errorf("in three rounds of two regions: %d calls %q", len(cloud.calls), cloud.calls)
		}
		europe := 0
		for _, call := range cloud.calls {
			if strings.HasPrefix(call, "eu-west-1 ") {
				europe++
				for _, name := range []string{"A", "Empty", "Forbidden", "ApproximateAgeOfOldestMessage"} {
					if !strings.Contains(call, " "+name) {
						t.Errorf("%q leaves %s out", call, name)
					}
				}
			}
		}
		if europe != 3 {
			t.Errorf("%d calls to Europe", europe)
		}
		s := a.Series("web/A")
		if len(s.Points) < 6 || s.Problem != "" {
			t.Errorf("A: %+v", s)
		}
		for i := range s.Points[1:] {
			if s.Points[i+1].At.Sub(s.Points[i].At) != time.Minute {
				t.Errorf("A's points are out of order or twice there: %+v", s.Points)
			}
		}
		for id, says := range map[string]string{"web/Empty": "has no value of Shop Empty", "web/Forbidden": "may not be read"} {
			if s := a.Series(id); !strings.Contains(s.Problem, says) || len(s.Points) > 0 {
				t.Errorf("%s: %+v", id, s)
			}
		}
		if s := a.Series("web/age"); len(s.Points) == 0 {
			t.Errorf("age: %+v", s)
		}
	})
}
