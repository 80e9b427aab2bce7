package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

const (
	// defaultTick is how often a farm is looked at when nothing calls earlier and it does not say.
	defaultTick = 2 * time.Second
	// tickApart keeps a storm of hints from becoming a storm of listings.
	tickApart = 50 * time.Millisecond
	// reportsApart is how often at most the reports are read because one of them changed. A farm's agents report
	// every two seconds each; most of it is samples, which wait for the next tick.
	reportsApart = 200 * time.Millisecond
)

// loop ticks every farm.Tick, and at once when a machine, the declaration, a report that matters or one of our own
// platform calls says so.
func (k *keeper) loop(ctx context.Context) error {
	hints := map[string]<-chan struct{}{}
	for _, prefix := range []string{state.FarmKey(k.farm)[:len(k.farm)+len("/spec/")], state.ApplicationKey(""), state.ReportPrefix(k.farm), state.ManualPrefix(k.farm)} {
		ch, err := k.store.Watch(ctx, prefix)
		if err != nil {
			return fmt.Errorf("watching %s: %w", prefix, err)
		}
		hints[prefix] = ch
	}
	specs, applications, reports := hints[k.farm+"/spec/"], hints[state.ApplicationKey("")], hints[state.ReportPrefix(k.farm)]
	byHand := hints[state.ManualPrefix(k.farm)]
	events := k.platform.Events(ctx)
	var reportsSeen string
	var readReports <-chan time.Time // set while a reading of the reports is due
	lastRead := time.Time{}
	trouble := "" // said last: a disk that is full is full at every tick

	for {
		began := time.Now()
		err := k.tick(ctx)
		switch {
		case err == nil:
			trouble = ""
			if k.onTick != nil {
				k.onTick(k.tickEvery)
			}
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errEnded):
			return nil
		case errors.Is(err, store.ErrFenced), errors.Is(err, store.ErrClosed), errors.Is(err, errPlatformChanged), errors.Is(err, errNotDeclared):
			return err
		default:
			if trouble != err.Error() {
				k.log.Error("a tick failed; the next one starts afresh", "error", err)
			}
			trouble = err.Error()
		}
		next := time.NewTimer(k.tickEvery)
	waiting:
		for {
			select {
			case <-ctx.Done():
				next.Stop()
				return ctx.Err()
			case <-next.C:
				break waiting
			case <-k.wake:
				break waiting
			case _, open := <-events:
				if !open {
					events = nil
					continue
				}
				break waiting
			case _, open := <-specs:
				if !open {
					specs = nil
				} else if digest, err := k.specDigest(ctx); err != nil || digest != k.specSeen {
					break waiting
				}
			case _, open := <-applications:
				if !open {
					applications = nil
				} else if digest, err := k.specDigest(ctx); err != nil || digest != k.specSeen {
					break waiting
				}
			case _, open := <-byHand:
				if !open {
					byHand = nil
					continue
				}
				break waiting
			case _, open := <-reports:
				if !open {
					reports = nil
				} else if readReports == nil {
					apart := reportsApart
					if k.failingOver {
						apart = tickApart // a step follows on a report
					}
					readReports = time.After(apart - time.Since(lastRead))
				}
			case <-readReports:
				readReports, lastRead = nil, time.Now()
				digest, err := k.reportDigest(ctx)
				if err == nil && digest != reportsSeen {
					reportsSeen = digest
					break waiting
				}
			}
		}
		next.Stop()
		if wait := tickApart - time.Since(began); wait > 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(wait):
			}
		}
	}
}

// tick looks once, decides, and acts. See docs/design.md, "One tick". The order of the writes is what a crash
// between any two of them relies on: each leaves what the next tick takes up.
func (k *keeper) tick(ctx context.Context) error {
	if !k.lease.Held() {
		return fmt.Errorf("the farm's lease ran out: %w", store.ErrFenced)
	}
	now := k.opts.Now()
	k.listen(now)
	seen, err := k.observe(ctx, now)
	if err != nil {
		return err
	}
	if k.platSpec != "" && platformJSON(seen.farm.Spec) != k.platSpec {
		return errPlatformChanged
	}
	k.tickEvery = defaultTick
	if t := seen.farm.Spec.Tick.Std(); t > 0 {
		k.tickEvery = t
	}
	if err := k.adopt(ctx, seen); err != nil {
		return err
	}
	if err := k.sweep(ctx, seen); err != nil {
		return err
	}
	if err := k.ensureSecrets(ctx, seen); err != nil {
		return err
	}

	resumed := k.resume(seen)
	if err := k.ask(ctx, seen); err != nil {
		return err
	}

	if err := k.recall(ctx, seen); err != nil {
		return err
	}
	view := seen.view()
	outcome := k.opts.Decide(view)
	// Before the memory: a record that was changed meanwhile ends the tick as if it had not been.
	if err := k.writeDatabases(ctx, seen, outcome.Databases); errors.Is(err, errDatabaseChanged) {
		return nil
	} else if err != nil {
		return err
	}
	if err := k.remember(ctx, seen, outcome.Memory); err != nil {
		return err
	}
	if err := k.writeBackups(ctx, seen, outcome.Backups); err != nil {
		return err
	}
	if err := k.record(ctx, view, outcome); err != nil {
		return err
	}
	if err := k.learn(ctx, outcome.Histories); err != nil {
		return err
	}
	calls, err := k.execute(ctx, seen, outcome.Decisions)
	if err != nil {
		return err
	}
	// What the records now say, before any machine is made or ended on account of it.
	if err := k.writeAssignments(ctx, seen); err != nil {
		return err
	}
	if err := k.writeTopology(ctx, seen); err != nil {
		return err
	}
	for _, call := range append(resumed, calls...) {
		call()
	}
	k.launchBatches()
	k.keepStock(seen)
	return k.finishDeletions(ctx, seen)
}

// listen notes since when agents could report without a break: a process that slept or hung for several ticks did
// not hear them, and must not take that for their silence.
func (k *keeper) listen(now time.Time) {
	const ticksMissed = 3
	if k.listening.IsZero() || now.Sub(k.ticked) > max(ticksMissed*k.tickEvery, 5*time.Second) {
		k.listening = now
	}
	k.ticked = now
}
