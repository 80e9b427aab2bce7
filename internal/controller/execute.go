package controller

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// outputLines is how much of what a failed machine printed goes into its failure.
const outputLines = 20

// remember writes the engine's memory. Before its decisions are carried out: forgotten memory would decide twice,
// a decision not carried out is taken again.
func (k *keeper) remember(ctx context.Context, s *sight, memory map[string]state.Memory) error {
	for name, m := range memory {
		r := s.roles[name]
		if r == nil || reflect.DeepEqual(r.memory, m) {
			continue
		}
		condition := store.Absent()
		if r.memoryRev != 0 {
			condition = store.At(r.memoryRev)
		}
		revision, err := store.PutJSON(ctx, k.store, state.MemoryKey(k.farm, name), m, store.If(condition))
		if err != nil {
			return fmt.Errorf("writing the memory of %s: %w", name, err)
		}
		r.memory, r.memoryRev = m, revision
	}
	return nil
}

// execute carries decisions out as far as the store goes, and returns the platform calls that are then to be made.
// Each step is idempotent. A record that changed under the tick's hands is left to the next tick.
func (k *keeper) execute(ctx context.Context, s *sight, decisions []engine.Decision) (calls []func(), err error) {
	for _, d := range decisions {
		call, said, err := k.carryOut(ctx, s, d)
		if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
			k.poke()
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", d.Action, d.Instance, err)
		}
		if call != nil {
			calls = append(calls, call)
		}
		if said && d.Kind != "" {
			e := state.Event{Role: d.Role, Instance: d.Instance, Kind: d.Kind, Level: d.Level, Reason: d.Reason, Ledger: k.ledger.Open(d.Role)}
			if err := k.event(ctx, e); err != nil {
				return nil, err
			}
		}
	}
	return calls, nil
}

// carryOut does one decision. said tells that it is worth an event: something changed.
func (k *keeper) carryOut(ctx context.Context, s *sight, d engine.Decision) (call func(), said bool, err error) {
	switch d.Action {
	case engine.Launch:
		if r := s.roles[d.Role]; r == nil || r.appMissing {
			return nil, false, nil // there is nothing to make it from; that is said already
		}
		if err := k.intend(ctx, s, d); err != nil {
			return nil, false, err
		}
		return k.launchCall(s, d.Instance), true, nil
	case engine.Relaunch:
		if rec := s.records[d.Instance]; rec == nil || k.jobs.busy(launchJob(rec.Token)) {
			return nil, false, nil
		}
		return k.launchCall(s, d.Instance), true, nil
	case engine.Move:
		return nil, true, k.move(ctx, s, d)
	case engine.Drain:
		return nil, true, k.update(ctx, s, d.Instance, func(i *state.Instance) { enter(i, state.Draining, s.now, d.Reason) })
	case engine.Terminate:
		rec := s.records[d.Instance]
		if rec != nil && rec.Phase != state.Terminating && rec.Phase != state.Failed {
			if err := k.update(ctx, s, d.Instance, func(i *state.Instance) { enter(i, state.Terminating, s.now, d.Reason) }); err != nil {
				return nil, false, err
			}
		}
		return k.endCall(s, d), !k.jobs.busy(endJob(d.Machine)), nil
	case engine.Reap:
		return k.endCall(s, d), !k.jobs.busy(endJob(d.Machine)), nil
	case engine.Forget:
		if rec := s.records[d.Instance]; rec != nil && rec.Temporary() {
			return k.forgetTemporary(s, d.Instance), false, nil
		}
		return nil, true, k.forget(ctx, s, d.Instance)
	case engine.TakeSnapshot:
		return k.snapshotCall(d), false, nil
	case engine.DropSnapshot:
		return k.dropCall(d), false, nil
	case engine.Note:
		return nil, true, nil
	}
	return nil, false, fmt.Errorf("the engine asks for %q, which this controller does not know", d.Action)
}

// enter moves a record on, with the reason why.
func enter(i *state.Instance, phase state.Phase, now time.Time, reason string) {
	i.Phase, i.Since, i.Reason = phase, now, reason
}

func (k *keeper) move(ctx context.Context, s *sight, d engine.Decision) error {
	failure := d.Failure
	if failure != nil && len(failure.Log) == 0 {
		if rec := s.records[d.Instance]; rec != nil && rec.machine != nil {
			f := *failure
			f.Log = k.output(ctx, rec.machine.ID)
			failure = &f
		}
	}
	return k.update(ctx, s, d.Instance, func(i *state.Instance) {
		i.Phase, i.Since = d.Phase, s.now
		switch d.Phase {
		case state.Running:
			if i.ServedAt.IsZero() {
				i.ServedAt = s.now
			}
		case state.Failed, state.Draining, state.Terminating:
			i.Reason = d.Reason
		}
		if failure != nil {
			i.Failure = failure
		}
	})
}

// output is what a machine printed last, if the platform can tell quickly.
func (k *keeper) output(ctx context.Context, machine string) []string {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	lines, err := k.platform.Output(ctx, machine, outputLines)
	if err != nil {
		k.log.Debug("reading what a machine printed", "machine", machine, "error", err)
		return nil
	}
	return lines
}

// forget frees an index: its holder is confirmed gone. The record goes last, so that a crash in between is taken up.
func (k *keeper) forget(ctx context.Context, s *sight, name string) error {
	rec := s.records[name]
	if rec == nil {
		return fmt.Errorf("%s: %w", name, store.ErrNotFound)
	}
	if err := k.removeTraces(ctx, name); err != nil {
		return err
	}
	if err := k.store.Delete(ctx, state.InstanceKey(k.farm, name), store.If(store.At(rec.revision))); err != nil {
		return err
	}
	delete(s.records, name)
	return nil
}

// removeTraces deletes what belongs to one holder of an index beside its record.
func (k *keeper) removeTraces(ctx context.Context, name string) error {
	for _, key := range []string{state.TokenKey(k.farm, name), state.AssignmentKey(k.farm, name), state.ReportKey(k.farm, name)} {
		if err := k.store.Delete(ctx, key); err != nil {
			return fmt.Errorf("deleting %s: %w", key, err)
		}
		delete(k.written, key)
	}
	return nil
}

// sweep removes the traces of instances that have no record: once in a run, for what a killed sidecar left.
func (k *keeper) sweep(ctx context.Context, s *sight) error {
	if k.swept {
		return nil
	}
	for _, prefix := range []string{state.AssignmentKey(k.farm, ""), state.TokenKey(k.farm, ""), state.ReportPrefix(k.farm)} {
		entries, err := k.store.List(ctx, prefix)
		if err != nil {
			return fmt.Errorf("looking for leftovers: %w", err)
		}
		for _, e := range entries {
			if name := e.Key[len(prefix):]; s.records[name] == nil {
				if err := k.removeTraces(ctx, name); err != nil {
					return err
				}
			}
		}
	}
	k.swept = true
	return nil
}
