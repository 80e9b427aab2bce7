package aws

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

const (
	// unlisted is how long a machine that was just launched may be missing in EC2's answers before it counts as lost.
	// AWS advises to ask again for "minutes" (https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html).
	unlisted = 3 * time.Minute
	// startsIn is how long a machine that was started may still be listed as stopped.
	startsIn = time.Minute
	// pageSize is the most that DescribeInstances gives at once.
	pageSize = 1000
	// oneTick is how old a look may be for the work that follows it.
	oneTick = 8 * time.Second
)

// sight is one look at the farm's machines: those that EC2 lists, with those that it does not list yet.
type sight struct {
	at    time.Time
	hosts []host
	keys  map[string]state.Machine
}

func (s *sight) host(id string) (host, bool) {
	for _, h := range s.hosts {
		if h.id == id {
			return h, true
		}
	}
	return host{}, false
}

// List returns the farm's machines that are instances or can become one; those in stock are the platform's own affair.
// It is one call for each thousand machines, one a minute for announcements, and one more while some are not listed yet.
func (p *AWS) List(ctx context.Context) ([]platform.Machine, error) {
	s, err := p.look(ctx, 0)
	if err != nil {
		return nil, err
	}
	announced := p.announced(ctx)
	var machines []platform.Machine
	for _, h := range s.hosts {
		key, known := s.keys[h.id]
		if key.Warm != "" || h.gone() && (!known || !key.Ended.IsZero()) {
			continue
		}
		m := p.machine(h, key)
		if n, ok := announced[h.id]; ok {
			m.Notice = &n
		}
		machines = append(machines, m)
	}
	slices.SortFunc(machines, func(a, b platform.Machine) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.ID, b.ID))
	})
	return machines, nil
}

// look returns the farm's machines as of at most age ago; 0 asks EC2.
func (p *AWS) look(ctx context.Context, age time.Duration) (*sight, error) {
	p.mu.Lock()
	if last := p.last; last != nil && age > 0 && p.now().Sub(last.at) <= age {
		hosts := slices.Clone(last.hosts)
		listed := map[string]bool{}
		for _, h := range hosts {
			listed[h.id] = true
		}
		for id, h := range p.fresh {
			if !listed[id] {
				hosts = append(hosts, h)
			}
		}
		s := &sight{at: last.at, hosts: hosts}
		p.noteStarted(s)
		p.mu.Unlock()
		var err error
		s.keys, err = p.machineKeys(ctx)
		return s, err
	}
	p.mu.Unlock()

	// The store first: a machine that a key speaks of is then listed, or not listed yet, or lost.
	s := &sight{at: p.now()}
	var err error
	if s.keys, err = p.machineKeys(ctx); err != nil {
		return nil, err
	}
	if s.hosts, err = p.describe(ctx, p.ours()); err != nil {
		return nil, explain(err, "listing the machines of farm "+p.farm.Name)
	}
	if err := p.addUnlisted(ctx, s); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noteStarted(s)
	if changed(p.last, s) {
		p.hint()
	}
	p.last = s
	return s, nil
}

// noteStarted takes machines out of the stock that were just started for pending while EC2 still lists them as stopped: such an
// answer may be of before the start. p.mu is held.
func (p *AWS) noteStarted(s *sight) {
	for i, h := range s.hosts {
		at, ok := p.started[h.id]
		switch {
		case !ok:
		case h.state == types.InstanceStateNameStopped && s.at.Sub(at) < startsIn:
			s.hosts[i].state = types.InstanceStateNamePending
		default:
			delete(p.started, h.id)
		}
	}
}

// describe pages through the machines that the filters select.
func (p *AWS) describe(ctx context.Context, filters ...types.Filter) ([]host, error) {
	c, err := p.compute(ctx)
	if err != nil {
		return nil, err
	}
	var hosts []host
	pages := ec2.NewDescribeInstancesPaginator(c, &ec2.DescribeInstancesInput{Filters: filters, MaxResults: awssdk.Int32(pageSize)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				hosts = append(hosts, hostOf(i))
			}
		}
	}
	return hosts, nil
}

// addUnlisted adds what was launched and is not listed: asked for by id, and held for pending while it is young.
func (p *AWS) addUnlisted(ctx context.Context, s *sight) error {
	missing := map[string]host{}
	for id, key := range s.keys {
		if key.Ended.IsZero() {
			missing[id] = host{id: id, role: cmp.Or(key.Warm, roleOf(key.Instance)), state: types.InstanceStateNamePending, launched: key.At}
		}
	}
	p.mu.Lock()
	maps.Copy(missing, p.fresh)
	for _, h := range s.hosts {
		delete(missing, h.id)
		delete(p.fresh, h.id)
	}
	p.mu.Unlock()
	if len(missing) == 0 {
		return nil
	}
	// A filter gives those that there are; ids as such would be refused together for one that is not known yet.
	found, err := p.describe(ctx, p.ours(), filter("instance-id", firstN(slices.Sorted(maps.Keys(missing)), 200)...))
	if err != nil {
		return explain(err, "looking for machines that are not listed")
	}
	for _, h := range found {
		s.hosts = append(s.hosts, h)
		delete(missing, h.id)
	}
	for id, h := range missing {
		if s.at.Sub(h.launched) <= unlisted {
			s.hosts = append(s.hosts, h)
			continue
		}
		p.mu.Lock()
		delete(p.fresh, id)
		p.mu.Unlock()
	}
	return nil
}

// changed tells whether a machine is in another state than before, has come or has gone.
func changed(before, after *sight) bool {
	if before == nil {
		return true
	}
	states := make(map[string]types.InstanceStateName, len(before.hosts))
	for _, h := range before.hosts {
		states[h.id] = h.state
	}
	for _, h := range after.hosts {
		if states[h.id] != h.state {
			return true
		}
	}
	return len(before.hosts) != len(after.hosts)
}

func firstN[T any](all []T, n int) []T { return all[:min(n, len(all))] }
