package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

const (
	// patience bounds one question.
	patience = 5 * time.Second
	// cloudPatience is longer: AWS' clients try again by themselves when they are throttled.
	cloudPatience = 20 * time.Second
	// atOnce is how many questions are under way at a time.
	atOnce = 8
	// mostPoints kept of a series: six hours of one every five seconds.
	mostPoints = 4400
)

// Asker asks for metrics, each in its rhythm, and keeps their series. Safe for concurrent use.
type Asker struct {
	cloud Cloud
	// save is called with a series whenever it was added to, one call at a time for each.
	save func(ctx context.Context, id string, s state.Series) error

	wake  chan struct{}
	slots chan struct{}
	mu    sync.Mutex
	asked map[string]*asked
}

type asked struct {
	question Question
	series   state.Series
	next     time.Time
	busy     bool
}

// NewAsker makes one that asks nothing yet. cloud may be nil where nothing of AWS is asked for.
func NewAsker(cloud Cloud, save func(context.Context, string, state.Series) error) *Asker {
	return &Asker{cloud: cloud, save: save, wake: make(chan struct{}, 1), slots: make(chan struct{}, atOnce), asked: map[string]*asked{}}
}

// Follow takes over what is to be asked now. former gives the series of a question that is new here, as it was kept;
// one of another metric is begun anew.
func (a *Asker) Follow(questions []Question, former func(id string) state.Series) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := map[string]*asked{}
	for _, q := range questions {
		is := a.asked[q.ID]
		if is == nil {
			is = &asked{series: former(q.ID)}
			if is.series.Key == q.Metric.Key() {
				is.next = is.series.Asked.Add(q.Metric.Every.Std())
			}
		}
		if is.series.Key != q.Metric.Key() {
			is.series = state.Series{Key: q.Metric.Key()}
			is.next = time.Time{}
		}
		if is.question.Problem != q.Problem || is.question.Secret != q.Secret || is.question.Database != q.Database {
			is.next = time.Time{} // another answer may be had
		}
		is.question = q
		now[q.ID] = is
	}
	a.asked = now
	a.poke()
}

// Series is what was kept of a question, oldest first.
func (a *Asker) Series(id string) state.Series {
	a.mu.Lock()
	defer a.mu.Unlock()
	is := a.asked[id]
	if is == nil {
		return state.Series{}
	}
	s := is.series
	s.Points = slices.Clone(s.Points)
	return s
}

// Run asks until ctx ends, and then waits for what is under way.
func (a *Asker) Run(ctx context.Context) {
	var under sync.WaitGroup
	defer under.Wait()
	for {
		wait := a.round(ctx, time.Now(), &under)
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
		case <-time.After(wait):
		}
	}
}

// round asks whatever is due, and returns how long nothing will be.
func (a *Asker) round(ctx context.Context, now time.Time, under *sync.WaitGroup) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	wait := time.Minute
	regions := map[string][]*asked{}
	for _, is := range a.asked {
		if is.busy {
			continue // wakes us when it is done
		}
		if left := is.next.Sub(now); left > 0 && left <= is.question.Metric.Every.Std() {
			wait = min(wait, left)
			continue
		}
		is.busy = true
		is.next = now.Add(is.question.Metric.Every.Std())
		wait = min(wait, is.question.Metric.Every.Std())
		if m := is.question.Metric; m.FromCloudWatch() && is.question.Problem == "" {
			regions[regionOf(m)] = append(regions[regionOf(m)], is)
			continue
		}
		under.Go(func() { a.one(ctx, is, is.question, now) })
	}
	for region, all := range regions {
		questions := make([]Question, len(all))
		for i, is := range all {
			questions[i] = is.question
		}
		under.Go(func() { a.together(ctx, region, all, questions, now) })
	}
	return max(wait, time.Millisecond)
}

func (a *Asker) one(ctx context.Context, is *asked, q Question, now time.Time) {
	a.slots <- struct{}{}
	defer func() { <-a.slots }()
	limit := patience
	if q.Metric.SQS != nil {
		limit = cloudPatience
	}
	bounded, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", spec.Duration(limit)))
	defer cancel()
	v, err := ask(bounded, a.cloud, q, now)
	if err != nil {
		a.took(ctx, is, q, now, nil, err)
		return
	}
	a.took(ctx, is, q, now, []state.Point{{At: now, Value: v}}, nil)
}

// together asks CloudWatch for all that is due of a region at once: its calls are paid for and rationed.
func (a *Asker) together(ctx context.Context, region string, all []*asked, questions []Question, now time.Time) {
	a.slots <- struct{}{}
	defer func() { <-a.slots }()
	bounded, cancel := context.WithTimeoutCause(ctx, cloudPatience, fmt.Errorf("no answer within %s", spec.Duration(cloudPatience)))
	defer cancel()
	queries := make([]spec.CloudWatchMetric, len(questions))
	from := now
	for i, q := range questions {
		queries[i] = cloudWatchOf(q.Metric)
		if begin := now.Add(-q.Metric.Window.Std()); begin.Before(from) {
			from = begin
		}
	}
	points, errs := make([][]state.Point, len(queries)), make([]error, len(queries))
	if a.cloud == nil {
		for i := range errs {
			errs[i] = errors.New("this sidecar knows no CloudWatch")
		}
	} else {
		points, errs = a.cloud.Data(bounded, region, queries, from, now)
	}
	for i, is := range all {
		err := errs[i]
		if err == nil && len(points[i]) == 0 {
			err = fmt.Errorf("CloudWatch has no value of %s %s since %s", queries[i].Namespace, queries[i].Name, from.UTC().Format("15:04:05 UTC"))
		}
		a.took(ctx, is, questions[i], now, points[i], err)
	}
}

// took adds what was answered to the series, unless another question has taken its place meanwhile.
func (a *Asker) took(ctx context.Context, is *asked, q Question, now time.Time, points []state.Point, err error) {
	if ctx.Err() != nil {
		return
	}
	defer func() {
		a.mu.Lock()
		is.busy = false
		a.mu.Unlock()
		a.poke()
	}()
	a.mu.Lock()
	if is.series.Key != q.Metric.Key() || a.asked[q.ID] != is {
		a.mu.Unlock()
		return
	}
	s := &is.series
	s.Asked, s.Problem = now, ""
	if err != nil {
		s.Problem = err.Error()
	}
	for _, p := range points {
		if possible(p.Value) == nil {
			s.Points = insert(s.Points, p)
		}
	}
	kept := now.Add(-q.Metric.Window.Std())
	s.Points = slices.DeleteFunc(s.Points, func(p state.Point) bool { return p.At.Before(kept) })
	if extra := len(s.Points) - mostPoints; extra > 0 {
		s.Points = slices.Delete(s.Points, 0, extra)
	}
	saved := *s
	saved.Points = slices.Clone(s.Points)
	a.mu.Unlock()
	// What cannot be kept is known here all the same; the next is kept with it.
	_ = a.save(ctx, q.ID, saved)
}

func (a *Asker) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// regionOf is the region that CloudWatch is asked in.
func regionOf(m spec.Metric) string {
	switch {
	case m.CloudWatch != nil:
		return m.CloudWatch.Region
	case m.SQS.Region != "":
		return m.SQS.Region
	}
	return spec.QueueRegion(m.SQS.QueueURL)
}

// cloudWatchOf is the metric as CloudWatch knows it: the age of a queue's oldest message is known there only.
func cloudWatchOf(m spec.Metric) spec.CloudWatchMetric {
	if m.CloudWatch != nil {
		return *m.CloudWatch
	}
	return spec.CloudWatchMetric{
		Namespace: "AWS/SQS", Name: "ApproximateAgeOfOldestMessage", Stat: "Maximum", Period: spec.Duration(time.Minute),
		Dimensions: map[string]string{"QueueName": spec.QueueName(m.SQS.QueueURL)},
	}
}

// insert puts a point in order of time; one of the same time is replaced, for CloudWatch's newest value still grows.
func insert(points []state.Point, p state.Point) []state.Point {
	i, found := slices.BinarySearchFunc(points, p, func(a, b state.Point) int { return a.At.Compare(b.At) })
	if found {
		points[i] = p
		return points
	}
	return slices.Insert(points, i, p)
}
