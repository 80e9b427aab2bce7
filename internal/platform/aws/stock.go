package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

const (
	// warmPatience is how long a machine of the stock may take to set itself up before another is tried.
	warmPatience = 20 * time.Minute
	// stockAtOnce is how many machines are launched into stock by one tick.
	stockAtOnce = 10
)

// keepStock fills each role's stock of stopped machines, renews it when the generation changes and ends what is too much. A machine in
// stock is launched like any other, reports that it is set up (state.Report.Warm, under its machine's id), and is then stopped.
func (p *AWS) keepStock(ctx context.Context, roles []spec.Role, generations map[string]string, s *sight) error {
	wanted := map[string]spec.Role{}
	for _, r := range roles {
		if r.AWS == nil || r.AWS.WarmPool == 0 || r.Volume != nil {
			continue
		}
		// EC2 does not stop Spot instances of one-time requests, which a fleet's are: the stock is of on-demand ones
		// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/stop-start-spot-instances.html). A role that wants none has no stock.
		own := *r.AWS
		if slices.Equal(wantsOf(*p.farm.AWS, r).markets(), []string{spot}) {
			continue
		}
		own.Spot, own.SpotOnly = 0, false
		r.AWS = &own
		wanted[r.Name] = r
	}
	var end, stop []string
	have := map[string]int{}
	for _, id := range sortedKeys(s.keys) {
		key := s.keys[id]
		h, listed := s.host(id)
		if key.Warm == "" || !key.Ended.IsZero() || !listed || h.gone() || h.state == types.InstanceStateNameShuttingDown {
			continue
		}
		role, ok := wanted[key.Warm]
		switch {
		case !ok || h.generation != "" && generations[key.Warm] != "" && h.generation != generations[key.Warm] || have[key.Warm] >= role.AWS.WarmPool:
			end = append(end, id)
			continue
		case h.state == types.InstanceStateNameRunning && p.isWarm(ctx, id):
			stop = append(stop, id)
		case h.alive() && p.now().Sub(laterOf(key.At, h.launched)) > warmPatience:
			p.log.Warn("a machine for the stock did not set itself up in time; another is tried", "role", key.Warm, "machine", id)
			end = append(end, id)
			continue
		}
		have[key.Warm]++
	}
	var errs []error
	if len(end) > 0 {
		errs = append(errs, p.endStock(ctx, end, s))
	}
	if len(stop) > 0 {
		c, err := p.compute(ctx)
		if err == nil {
			_, err = c.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: stop})
		}
		errs = append(errs, explain(err, "stopping machines that are ready for the stock"))
	}
	for _, name := range sortedKeys(wanted) {
		if n := wanted[name].AWS.WarmPool - have[name]; n > 0 && generations[name] != "" {
			errs = append(errs, p.fillStock(ctx, wanted[name], generations[name], min(n, stockAtOnce)))
		}
	}
	return errors.Join(errs...)
}

// isWarm asks for the machine's own report.
func (p *AWS) isWarm(ctx context.Context, id string) bool {
	r, _, err := store.GetJSON[state.Report](ctx, p.store, state.ReportKey(p.farm.Name, id))
	return err == nil && r.Warm
}

// endStock ends machines that nobody knows of but the stock.
func (p *AWS) endStock(ctx context.Context, ids []string, s *sight) error {
	unknown, kept, err := p.terminateTogether(ctx, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if slices.Contains(unknown, id) || kept[id] != nil {
			continue // of just now: the next tick ends it. Or protected by somebody, who is told below
		}
		key := s.keys[id]
		key.Ended = p.now().UTC()
		if err := p.setKey(ctx, id, key); err != nil {
			return err
		}
		s.keys[id] = key
		if err := p.dropReport(ctx, id); err != nil {
			return err
		}
	}
	var errs []error
	for _, id := range sortedKeys(kept) {
		errs = append(errs, fmt.Errorf("ending machine %s of the stock: %w", id, kept[id]))
	}
	return errors.Join(errs...)
}

// dropReport deletes what a machine reported while it was in stock.
func (p *AWS) dropReport(ctx context.Context, id string) error {
	if err := p.store.Delete(ctx, state.ReportKey(p.farm.Name, id)); err != nil && !errors.Is(err, store.ErrDenied) {
		return storeSays(err, "deleting the report of machine "+id)
	}
	return nil
}

// fillStock launches machines for the stock. Having none is no reason to hold anything up: a lack of capacity is only logged.
func (p *AWS) fillStock(ctx context.Context, role spec.Role, generation string, n int) error {
	defer p.launches.lock(role.Name)()
	s, err := p.look(ctx, oneTick)
	if err != nil {
		return err
	}
	before := s.stock(role.Name)
	if err := p.settle(ctx, role.Name, s); err != nil {
		return err
	}
	n -= s.stock(role.Name) - before // what settling has found
	if n <= 0 {
		return nil
	}
	template, err := p.template(ctx, role, generation, "")
	if err != nil {
		return err
	}
	intents := make([]state.Machine, n)
	for i := range intents {
		intents[i].Warm = role.Name
	}
	err = p.buy(ctx, purchase{role: role, generation: generation, template: template, intents: intents, sight: s}, func(h host, key state.Machine) error {
		key.At = p.now()
		return p.setKey(ctx, h.id, key)
	})
	if errors.Is(err, platform.ErrCapacity) {
		p.log.Warn("filling the stock of role "+role.Name, "error", err)
		return nil
	}
	return err
}

// stock counts a role's machines in stock.
func (s *sight) stock(role string) int {
	n := 0
	for _, key := range s.keys {
		if key.Warm == role && key.Ended.IsZero() {
			n++
		}
	}
	return n
}

// fromStock starts stopped machines of the stock for launches that are not bound to a zone. EC2 may have no room for one that was
// stopped: then it stays in stock, and the launch goes on to a new one.
func (j *job) fromStock(ctx context.Context) error {
	var ids []string
	given := map[string]state.Machine{}
	waiting := j.ordered()
	for _, id := range sortedKeys(j.sight.keys) {
		h, ok := j.sight.host(id)
		if key := j.sight.keys[id]; !ok || key.Warm != j.like.Role || !key.Ended.IsZero() || h.state != types.InstanceStateNameStopped || h.generation != j.like.Generation {
			continue
		}
		for len(waiting) > 0 && waiting[0].Volume != "" {
			waiting = waiting[1:]
		}
		if len(waiting) == 0 {
			break
		}
		key := intent(waiting[0])
		key.Warmed = true
		waiting = waiting[1:]
		ids, given[id] = append(ids, id), key
	}
	if len(ids) == 0 {
		return nil
	}
	// Who they are first: started, they ask at once. A crash in between leaves a stopped machine, which is replaced.
	for _, id := range ids {
		key := given[id]
		key.At = j.p.now()
		if err := j.p.setKey(ctx, id, key); err != nil {
			return err
		}
	}
	c, err := j.p.compute(ctx)
	if err != nil {
		return err
	}
	if _, err := c.StartInstances(ctx, &ec2.StartInstancesInput{InstanceIds: ids}); err != nil {
		j.p.log.Warn("starting machines of the stock; new ones are launched instead", "role", j.like.Role, "error", explain(err, "starting"))
		for _, id := range ids {
			if err := j.p.setKey(ctx, id, state.Machine{Warm: j.like.Role, At: j.sight.keys[id].At}); err != nil {
				return err
			}
		}
		return nil
	}
	for _, id := range ids {
		h, _ := j.sight.host(id)
		h.state = types.InstanceStateNamePending
		j.p.mu.Lock()
		j.p.started[id] = j.p.now()
		j.p.mu.Unlock()
		if err := j.assign(ctx, h, given[id]); err != nil {
			return err
		}
		if err := j.p.dropReport(ctx, id); err != nil { // it reports under its instance's name from now on
			j.p.log.Warn("a machine of the stock is an instance now", "error", err)
		}
	}
	return nil
}
