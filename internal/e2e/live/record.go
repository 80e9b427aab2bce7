package live

import (
	"context"
	"slices"

	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/sqlite"
)

// Record is a reading of the store.
type Record struct{ store store.Store }

// Open opens the store of f's state directory. Close it.
func (f *Farm) Open(ctx context.Context) (*Record, error) {
	s, err := sqlite.Open(ctx, daemon.DatabasePath(f.StateDir))
	if err != nil {
		return nil, err
	}
	return &Record{s}, nil
}

// Close closes the store.
func (r *Record) Close() error { return r.store.Close() }

// Report is what an instance's agent said last.
func (r *Record) Report(ctx context.Context, farm, instance string) (state.Report, error) {
	report, _, err := store.GetJSON[state.Report](ctx, r.store, state.ReportKey(farm, instance))
	return report, err
}

// Instances are a role's instances, by index, in whatever phase; of every role if role is "".
func (r *Record) Instances(ctx context.Context, farm, role string) ([]state.Instance, error) {
	items, err := store.ListJSON[state.Instance](ctx, r.store, state.InstancePrefix(farm))
	if err != nil {
		return nil, err
	}
	var instances []state.Instance
	for _, it := range items {
		if role == "" || it.Value.Role == role {
			instances = append(instances, it.Value)
		}
	}
	slices.SortFunc(instances, func(a, b state.Instance) int {
		if a.Role != b.Role {
			if a.Role < b.Role {
				return -1
			}
			return 1
		}
		return a.Index - b.Index
	})
	return instances, nil
}

// Events are the farm's events, oldest first.
func (r *Record) Events(ctx context.Context, farm string) ([]state.Event, error) {
	items, err := store.ListJSON[state.Event](ctx, r.store, state.EventPrefix(farm))
	if err != nil {
		return nil, err
	}
	events := make([]state.Event, len(items))
	for i, it := range items {
		events[i] = it.Value
	}
	return events, nil
}

// Keys are all keys of the farm's partition.
func (r *Record) Keys(ctx context.Context, farm string) ([]string, error) {
	entries, err := r.store.List(ctx, farm+"/")
	if err != nil {
		return nil, err
	}
	keys := make([]string, len(entries))
	for i, e := range entries {
		keys[i] = e.Key
	}
	return keys, nil
}
