package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

const (
	// eventsKept and eventsFor bound a farm's history: enough to look back over a month, small enough to list.
	eventsKept = 5000
	eventsFor  = 30 * 24 * time.Hour
	// pruneEvery is after how many new events the oldest are looked for.
	pruneEvery = 250
)

// history is what the keeper remembers of the events that it wrote.
type history struct {
	mu       sync.Mutex
	sequence int
	since    int               // written since the last pruning
	said     map[string]string // by role, instance and kind: the reason last given, for what is said once
}

// EventID makes an id that sorts by time; sequence tells events of the same nanosecond apart.
func EventID(at time.Time, sequence int) string {
	return fmt.Sprintf("%s-%06d", at.UTC().Format("20060102T150405.000000000Z"), sequence%1_000_000)
}

// event appends to the farm's history, and says the same in the log.
func (k *keeper) event(ctx context.Context, e state.Event) error {
	k.history.mu.Lock()
	k.history.sequence++
	sequence := k.history.sequence
	k.history.since++
	prune := k.history.since >= pruneEvery || sequence == 1
	if prune {
		k.history.since = 0
	}
	k.history.mu.Unlock()

	e.At, e.Farm = k.opts.Now().UTC(), k.farm
	if e.Level == "" {
		e.Level = "info"
	}
	e.ID = EventID(e.At, sequence)
	attrs := []slog.Attr{slog.String("kind", e.Kind)}
	if e.Instance != "" {
		attrs = append(attrs, slog.String("instance", e.Instance))
	} else if e.Role != "" {
		attrs = append(attrs, slog.String("role", e.Role))
	}
	k.log.LogAttrs(ctx, levelOf(e.Level), e.Reason, attrs...)
	_, err := store.PutJSON(ctx, k.store, state.EventKey(k.farm, e.ID), e, store.Expires(e.At.Add(eventsFor)))
	if err != nil {
		return fmt.Errorf("writing an event: %w", err)
	}
	if prune {
		return k.pruneEvents(ctx)
	}
	return nil
}

func levelOf(level string) slog.Level {
	switch level {
	case "error":
		return slog.LevelError
	case "warning":
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// eventOnce says something that holds over many ticks when it begins or changes. It is about a condition, not an
// act: that it could not be written down (no lease yet, a store that is away) is left to the log.
func (k *keeper) eventOnce(ctx context.Context, e state.Event) {
	key := e.Role + "/" + e.Instance + "/" + e.Kind
	k.history.mu.Lock()
	if k.history.said == nil {
		k.history.said = map[string]string{}
	}
	known := k.history.said[key] == e.Reason
	k.history.said[key] = e.Reason
	k.history.mu.Unlock()
	if known {
		return
	}
	if err := k.event(ctx, e); err != nil {
		k.log.Warn("an event is not in the history", "reason", e.Reason, "error", err)
	}
}

// forgetOnce lets eventOnce say it again: the condition has ended. subject is a role or an instance.
func (k *keeper) forgetOnce(subject, kind string) {
	k.history.mu.Lock()
	defer k.history.mu.Unlock()
	delete(k.history.said, "/"+subject+"/"+kind)
	delete(k.history.said, subject+"//"+kind)
	delete(k.history.said, roleOf(subject)+"/"+subject+"/"+kind)
}

// pruneEvents deletes the oldest beyond eventsKept.
func (k *keeper) pruneEvents(ctx context.Context) error {
	return prune(ctx, k.store, state.EventPrefix(k.farm), eventsKept)
}

// prune deletes the smallest keys under prefix beyond the keep greatest.
func prune(ctx context.Context, s store.Store, prefix string, keep int) error {
	newest, err := s.List(ctx, prefix, store.Reverse(), store.Limit(keep))
	if err != nil {
		return fmt.Errorf("pruning %s: %w", prefix, err)
	}
	if len(newest) < keep {
		return nil
	}
	old, err := s.List(ctx, prefix, store.Reverse(), store.After(newest[len(newest)-1].Key))
	if err != nil {
		return fmt.Errorf("pruning %s: %w", prefix, err)
	}
	for _, e := range old {
		if err := s.Delete(ctx, e.Key); err != nil && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("pruning %s: %w", prefix, err)
		}
	}
	return nil
}
