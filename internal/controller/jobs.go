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
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.running[key] {
		return false
	}
	if failed := j.failed[key]; failed != nil && j.now().Before(failed.until) {
		return false
	}
	j.running[key] = true
	j.wg.Go(func() {
		var err error
		select {
		case in <- struct{}{}:
			err = f(ctx)
			<-in
		case <-ctx.Done():
			err = ctx.Err()
		}
		j.finish(key, err)
		j.done()
	})
	return true
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
