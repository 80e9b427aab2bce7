package controller

import (
	"context"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// jobs are the platform calls under way. Each has a key (the machine or the intent that it is about) and never runs
// twice at once; one that failed waits before it is tried again, however often the engine asks.
type jobs struct {
	now  func() time.Time
	done func() // called after each job; must not block

	mu      sync.Mutex
	running map[string]bool
	failed  map[string]*failedJob
	wg      sync.WaitGroup
}

type failedJob struct {
	wait  *backoff.ExponentialBackOff
	until time.Time
}

// lane bounds how many jobs of a kind run at once.
type lane chan struct{}

func newJobs(now func() time.Time, done func()) *jobs {
	return &jobs{now: now, done: done, running: map[string]bool{}, failed: map[string]*failedJob{}}
}

// busy tells whether the job runs.
func (j *jobs) busy(key string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.running[key]
}

// start runs f in a goroutine, unless it runs already or waits after a failure; it tells whether it did.
// f returns an error to be tried again later.
func (j *jobs) start(ctx context.Context, in lane, key string, f func(context.Context) error) bool {
	return j.startAll(ctx, in, []string{key}, func(ctx context.Context, _ []string) []error { return []error{f(ctx)} })
}

// startAll is start for several jobs that are done together: f is given those that neither run nor wait, and returns an
// error for each of them. It tells whether there were any.
func (j *jobs) startAll(ctx context.Context, in lane, keys []string, f func(ctx context.Context, keys []string) []error) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	var free []string
	for _, key := range keys {
		if failed := j.failed[key]; j.running[key] || failed != nil && j.now().Before(failed.until) {
			continue
		}
		free = append(free, key)
		j.running[key] = true
	}
	if len(free) == 0 {
		return false
	}
	j.wg.Go(func() {
		errs := make([]error, len(free))
		select {
		case in <- struct{}{}:
			errs = f(ctx, free)
			<-in
		case <-ctx.Done():
			for i := range errs {
				errs[i] = ctx.Err()
			}
		}
		for i, key := range free {
			j.finish(key, errs[i])
		}
		j.done()
	})
	return true
}

// background runs f beside the jobs unless one of that key runs; nothing is woken by its end. wait waits for it.
func (j *jobs) background(key string, f func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.running[key] {
		return
	}
	j.running[key] = true
	j.wg.Go(func() {
		defer func() {
			j.mu.Lock()
			defer j.mu.Unlock()
			delete(j.running, key)
		}()
		f()
	})
}

func (j *jobs) finish(key string, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.running, key)
	if err == nil {
		delete(j.failed, key)
		return
	}
	failed := j.failed[key]
	if failed == nil {
		failed = &failedJob{wait: backoff.NewExponentialBackOff()}
		failed.wait.InitialInterval, failed.wait.MaxInterval = time.Second, 30*time.Second
		j.failed[key] = failed
	}
	failed.until = j.now().Add(failed.wait.NextBackOff())
}

// wait returns when no job runs.
func (j *jobs) wait() { j.wg.Wait() }
