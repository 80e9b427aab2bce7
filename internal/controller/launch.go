package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// launchPatience bounds one launch call; pulling an image may be part of it.
const launchPatience = 10 * time.Minute

// incarnation counts the holders that an index has had. It outlives them, and the role: a token is never used twice.
type incarnation struct {
	N int `json:"n"`
}

func incarnationKey(farm, instance string) string { return farm + "/incarnation/" + instance }

func launchJob(token string) string { return "launch " + token }

// intend writes down what is to be launched before anybody is called. The counter goes first: a crash behind it
// wastes a number, one behind the record would use it twice.
func (k *keeper) intend(ctx context.Context, s *sight, d engine.Decision) error {
	key := incarnationKey(k.farm, d.Instance)
	count, revision, err := store.GetJSON[incarnation](ctx, k.store, key)
	condition := store.At(revision)
	if errors.Is(err, store.ErrNotFound) {
		condition, err = store.Absent(), nil
	}
	if err != nil {
		return err
	}
	count.N++
	if _, err := store.PutJSON(ctx, k.store, key, count, store.If(condition)); err != nil {
		return err
	}
	i := state.Instance{
		Role: d.Role, Index: d.Index, Generation: d.Generation, Reason: d.Reason,
		Token: k.token(s, d.Role, d.Index, count.N), Phase: state.Planned, Since: s.now, Created: s.now, Snapshot: d.Snapshot,
	}
	if err := s.temporaryOf(&i); err != nil {
		return err
	}
	i.Address, err = EnsureAddress(ctx, k.store, k.farm, i.Name())
	if errors.Is(err, platform.ErrCapacity) || errors.Is(err, platform.ErrInvalid) {
		i.Phase, i.Failure = state.Failed, &state.Failure{Step: "launch", Error: err.Error()}
		err = nil
	}
	if err != nil {
		return err
	}
	revision, err = store.PutJSON(ctx, k.store, state.InstanceKey(k.farm, i.Name()), i, store.If(store.Absent()))
	if err != nil {
		return err
	}
	s.records[i.Name()] = &recordSight{Instance: i, revision: revision}
	if i.Failure != nil {
		return k.event(ctx, refused(i))
	}
	return nil
}

// refused is the event of a launch that the platform, or the farm's subnet, does not allow.
func refused(i state.Instance) state.Event {
	return state.Event{Role: i.Role, Instance: i.Name(), Kind: "failed", Level: "error",
		Reason: fmt.Sprintf("it did not come up, in step %q: %s", i.Failure.Step, i.Failure.Error)}
}

// token is the same for the same intent, and never that of another: the farm's creation is in it, so that a farm of
// the same name that was destroyed before has had other ones.
func (k *keeper) token(s *sight, role string, index, n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%s\n%d\n%d", k.farm, s.entry.Created.UnixNano(), role, index, n))
	return hex.EncodeToString(sum[:10])
}

// launchCall is the platform's part of a launch, to be made once the instance's assignment is written.
func (k *keeper) launchCall(s *sight, name string) func() {
	rec := s.records[name]
	if rec == nil || rec.Phase != state.Planned && rec.Phase != state.Launching {
		return nil
	}
	role := s.roles[rec.Role]
	i := rec.Instance
	l := platform.Launch{
		Farm: k.farm, Role: i.Role, Instance: name, Token: i.Token, Generation: i.Generation,
		Image: imageOf(s.farm.Spec, role.Spec), Address: i.Address, VolumePath: volumePath(role.Spec, role.traits), RoleSpec: role.Spec,
	}
	return func() {
		if _, ok := k.platform.(platform.Batcher); ok && l.VolumePath == "" {
			k.batch = append(k.batch, l)
			return
		}
		k.jobs.start(k.jobsCtx, k.launches, launchJob(i.Token), func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, launchPatience)
			defer cancel()
			return k.launch(ctx, l, i.Snapshot)
		})
	}
}

// launch calls the platform and notes its answer on the record. An error is one that may pass: try again. snapshot is what a new
// volume is made of, "" for nothing.
func (k *keeper) launch(ctx context.Context, l platform.Launch, snapshot string) error {
	if !k.lease.Held() {
		return store.ErrFenced
	}
	var m platform.Machine
	err := k.bootstrap(ctx, &l)
	if err != nil {
		return err
	}
	if l.VolumePath != "" {
		l.Volume, err = k.ensureVolume(ctx, l, snapshot)
	}
	if err == nil {
		m, err = k.platform.Launch(ctx, l)
	}
	return k.answered(ctx, l, m, err)
}

// bootstrap is what the machine's agent is told at birth. Where there is no gateway, it opens the store itself.
func (k *keeper) bootstrap(ctx context.Context, l *platform.Launch) error {
	if k.runtime.Gateway == "" {
		return nil
	}
	secret, err := k.gatewaySecret(ctx, l.Token)
	if err != nil {
		return err
	}
	l.Bootstrap = platform.Bootstrap{Farm: l.Farm, Instance: l.Instance, Gateway: k.runtime.Gateway, Secret: secret}
	return nil
}

// answered notes the platform's answer to a launch on its record.
func (k *keeper) answered(ctx context.Context, l platform.Launch, m platform.Machine, err error) error {
	switch {
	case err == nil:
		k.forgetOnce(l.Instance, "platform")
		return k.note(ctx, l, func(i *state.Instance) {
			i.Volume = l.Volume
			accepted(i, m, &sight{now: k.opts.Now()})
		})
	case errors.Is(err, platform.ErrUnavailable) || errors.Is(err, store.ErrFenced) || ctx.Err() != nil:
		if !errors.Is(err, store.ErrFenced) && !errors.Is(ctx.Err(), context.Canceled) {
			k.eventOnce(ctx, state.Event{Role: l.Role, Instance: l.Instance, Kind: "platform", Level: "warning",
				Reason: fmt.Sprintf("launching %s: %v; trying again", l.Instance, err)})
		}
		return err
	}
	// A refusal that no repetition mends, or one that nobody foresaw: the engine backs off and says so.
	var failed *state.Instance
	noteErr := k.note(ctx, l, func(i *state.Instance) {
		i.Phase, i.Since = state.Failed, k.opts.Now()
		i.Failure = &state.Failure{Step: "launch", Error: err.Error()}
		failed = i
	})
	if noteErr == nil && failed != nil && failed.Phase == state.Failed && failed.Failure != nil {
		return k.event(ctx, refused(*failed))
	}
	return noteErr
}

// note changes the record of a launch that has come back, unless the index has another holder by now: then the
// machine is a stray, and reaped.
func (k *keeper) note(ctx context.Context, l platform.Launch, change func(*state.Instance)) error {
	key := state.InstanceKey(k.farm, l.Instance)
	for {
		i, revision, err := store.GetJSON[state.Instance](ctx, k.store, key)
		if errors.Is(err, store.ErrNotFound) || err == nil && i.Token != l.Token {
			return nil
		}
		if err != nil {
			return err
		}
		if i.Phase != state.Planned && i.Phase != state.Launching {
			// It is on its way out already; only what names its machine is still of use.
			phase, since, failure := i.Phase, i.Since, i.Failure
			change(&i)
			i.Phase, i.Since, i.Failure = phase, since, failure
		} else {
			change(&i)
		}
		_, err = store.PutJSON(ctx, k.store, key, i, store.If(store.At(revision)))
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}
