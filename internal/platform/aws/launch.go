package aws

import (
	"context"
	"errors"
	"fmt"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Launch is LaunchAll of one.
func (p *AWS) Launch(ctx context.Context, l platform.Launch) (platform.Machine, error) {
	r := p.LaunchAll(ctx, []platform.Launch{l})[0]
	return r.Machine, r.Err
}

// LaunchAll starts a machine for each, all of one role and generation. What there is already is taken first: a machine that
// is the token's, one that a former call made and nobody has claimed, one in stock. A hundred new ones are one listing, one
// launch template and a call for each of at most three zones.
func (p *AWS) LaunchAll(ctx context.Context, ls []platform.Launch) []platform.Result {
	results := make([]platform.Result, len(ls))
	byRole := map[string][]int{}
	for i, l := range ls {
		if l.Farm != p.farm.Name {
			results[i].Err = fmt.Errorf("launching %s: farm %s cannot launch for farm %s: %w", l.Instance, p.farm.Name, l.Farm, platform.ErrInvalid)
			continue
		}
		key := l.Role + " " + l.Generation
		byRole[key] = append(byRole[key], i)
	}
	for _, of := range byRole {
		j := &job{p: p, left: map[string]platform.Launch{}, made: map[string]platform.Machine{}, failed: map[string]error{}}
		for _, i := range of {
			j.left[ls[i].Token] = ls[i]
		}
		err := j.run(ctx, ls[of[0]])
		for _, i := range of {
			token := ls[i].Token
			switch m, ok := j.made[token]; {
			case ok:
				results[i].Machine = m
			case j.failed[token] != nil:
				results[i].Err = fmt.Errorf("launching %s: %w", ls[i].Instance, j.failed[token])
			case err != nil:
				results[i].Err = fmt.Errorf("launching %s: %w", ls[i].Instance, err)
			default:
				results[i].Err = fmt.Errorf("launching %s: nothing came of it: %w", ls[i].Instance, platform.ErrUnavailable)
			}
		}
	}
	return results
}

// job is the launch of machines of one role and generation.
type job struct {
	p      *AWS
	like   platform.Launch
	role   spec.Role
	sight  *sight
	left   map[string]platform.Launch // by token
	made   map[string]platform.Machine
	failed map[string]error
}

// run does what it can for those left; the error is the reason of all that are left then and have none of their own.
func (j *job) run(ctx context.Context, like platform.Launch) error {
	p := j.p
	j.like, j.role = like, like.RoleSpec
	j.role.Farm, j.role.Name = p.farm.Name, like.Role
	defer p.launches.lock(like.Role)()

	var err error
	if j.sight, err = p.look(ctx, oneTick); err != nil {
		return err
	}
	j.takeTheirs()
	if err := p.settle(ctx, like.Role, j.sight); err != nil {
		return err
	}
	j.takeTheirs() // what settling has found out
	if len(j.left) == 0 {
		return nil
	}
	if err := j.claim(ctx); err != nil {
		return err
	}
	if err := j.fromStock(ctx); err != nil {
		return err
	}
	if len(j.left) == 0 {
		return nil
	}
	return j.buy(ctx)
}

// takeTheirs finds the machines that are the tokens' already.
func (j *job) takeTheirs() {
	for id, key := range j.sight.keys {
		l, wanted := j.left[key.Token]
		if !wanted || key.Token == "" {
			continue
		}
		h, ok := j.sight.host(id)
		if !ok { // lost, or ended for more than an hour: the same intent is the same machine, which stays dead
			h = host{id: id, role: l.Role, generation: l.Generation, state: "terminated", reason: "EC2 does not know it any more", launched: key.At}
		}
		m := j.p.machine(h, key)
		m.Generation = l.Generation
		j.made[key.Token] = m
		delete(j.left, key.Token)
	}
}

// claim takes machines that a former call made for somebody whom it did not come to write down.
func (j *job) claim(ctx context.Context) error {
	for _, h := range j.sight.hosts {
		if _, known := j.sight.keys[h.id]; known || !h.alive() || h.role != j.like.Role || h.generation != j.like.Generation {
			continue
		}
		for _, l := range j.ordered() {
			if zone, err := j.zoneOf(ctx, l); err != nil || zone != "" && zone != h.zone {
				continue
			}
			if err := j.assign(ctx, h, intent(l)); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

// assign writes down who a machine is.
func (j *job) assign(ctx context.Context, h host, key state.Machine) error {
	key.At = j.p.now()
	if err := j.p.setKey(ctx, h.id, key); err != nil {
		return err
	}
	j.sight.keys[h.id] = key
	if key.Volume != "" {
		j.p.hasRoom(ctx, key.Instance)
	}
	if _, wanted := j.left[key.Token]; wanted && key.Token != "" {
		j.made[key.Token] = j.p.machine(h, key)
		delete(j.left, key.Token)
	}
	return nil
}

func intent(l platform.Launch) state.Machine {
	return state.Machine{Instance: l.Instance, Token: l.Token, Volume: l.Volume}
}

// ordered are the launches that are left, by instance.
func (j *job) ordered() []platform.Launch {
	return sortedBy(j.left, func(l platform.Launch) string { return l.Instance + " " + l.Token })
}

// fail gives launches that are left their reason.
func (j *job) fail(ls []platform.Launch, err error) {
	for _, l := range ls {
		if _, left := j.left[l.Token]; left {
			j.failed[l.Token] = err
			delete(j.left, l.Token)
		}
	}
}

// zoneOf is the zone that a launch must be in: its volume's. "" for any.
func (j *job) zoneOf(ctx context.Context, l platform.Launch) (string, error) {
	if l.Volume == "" {
		return "", nil
	}
	d, err := j.p.diskOf(ctx, l.Instance)
	if err != nil {
		return "", err
	}
	if d.ID != l.Volume && d.Zone == "" {
		return "", fmt.Errorf("volume %s of %s is not known: %w", l.Volume, l.Instance, platform.ErrUnavailable)
	}
	return d.Zone, nil
}

// buy launches new machines, in any zone or in their volumes', until all are there or nobody has room.
func (j *job) buy(ctx context.Context) error {
	template, err := j.p.template(ctx, j.role, j.like.Generation, j.like.Image)
	if err != nil {
		return err
	}
	byZone := map[string][]platform.Launch{}
	for _, l := range j.ordered() {
		zone, err := j.zoneOf(ctx, l)
		if err == nil && zone != "" {
			zone, err = j.p.moving(ctx, j.sight, l.Instance, zone)
		}
		if err != nil {
			j.fail([]platform.Launch{l}, err)
			continue
		}
		if zone != "" { // a move has given the index another volume
			if d, err := j.p.diskOf(ctx, l.Instance); err == nil && d.ID != "" {
				l.Volume = d.ID
			}
		}
		byZone[zone] = append(byZone[zone], l)
	}
	for _, zone := range sortedKeys(byZone) {
		var intents []state.Machine
		for _, l := range byZone[zone] {
			intents = append(intents, intent(l))
		}
		err := j.p.buy(ctx, purchase{role: j.role, generation: j.like.Generation, template: template, zone: zone, intents: intents, sight: j.sight},
			func(h host, key state.Machine) error { return j.assign(ctx, h, key) })
		if err == nil {
			continue
		}
		if zone != "" && errors.Is(err, platform.ErrCapacity) {
			for _, l := range byZone[zone] {
				if _, left := j.left[l.Token]; left {
					j.p.lacking(ctx, j.role, l.Instance, zone)
				}
			}
			err = fmt.Errorf("its data volume is in zone %s: %w", zone, err)
		}
		j.fail(byZone[zone], err)
	}
	return nil
}
