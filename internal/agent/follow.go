package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/agent/dbproxy"
	"github.com/farmhand/terraform-provider-farmhand/internal/agent/measure"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/dns"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

const (
	// readTime bounds one reading of the store: while the sidecar is away, its client would try for ever.
	readTime = 5 * time.Second
	// gatherTime lets changes that come together be taken over together: a reload each would be wasted.
	gatherTime = 30 * time.Millisecond
	// applyTime bounds the taking over of a change, and so how long the next one waits.
	applyTime = time.Minute
	// longestRetry is how rarely a change that is refused again and again is tried.
	longestRetry = 30 * time.Second
)

// follower reads what the behavior is fed from, and knows when to read it again.
type follower struct {
	*agent
	ctx      context.Context
	hints    chan struct{}
	followed map[string]bool
}

// reading is one consistent enough look at the store: what changed while it was made has hinted again.
type reading struct {
	behavior.Input
	assignment state.Assignment
	revision   int64         // of the topology
	proxy      *dbproxy.Want // to a database, nil for none
}

func newFollower(ctx context.Context, a *agent) *follower {
	return &follower{agent: a, ctx: ctx, hints: make(chan struct{}, 1), followed: map[string]bool{}}
}

// watch passes the store's hints about key on until ctx ends; a watch that breaks off is begun again, with a hint,
// since something may have been missed.
func (a *agent) watch(ctx context.Context, key string, hints chan<- struct{}) {
	for ctx.Err() == nil {
		if c, err := a.farm.Watch(ctx, key); err == nil {
			for range c {
				poke(hints)
			}
		}
		_ = pause(ctx, nil)
	}
}

func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// get reads a key and sees to it that its changes hint. What is not there is v's zero value.
func get[T any](ctx context.Context, f *follower, key string) (v T, revision int64, err error) {
	if !f.followed[key] {
		f.followed[key] = true
		go f.watch(f.ctx, key, f.hints)
	}
	v, r, err := store.GetJSON[T](ctx, f.farm, key)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return v, int64(r), err
}

// read reads everything.
func (f *follower) read(ctx context.Context) (reading, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	farm := f.boot.Farm
	as, revision, err := get[state.Assignment](ctx, f, state.AssignmentKey(farm, f.boot.Instance))
	if err == nil && revision == 0 {
		err = errors.New("the assignment was taken back")
	}
	if err != nil {
		return reading{}, err
	}
	r := reading{assignment: as}
	r.Uses, r.ReleaseDir = as.Role.Uses, f.releaseDir
	if measure.NeedsLog(as.Measures) {
		r.LogRequests = measure.LogAddress
	}
	if r.Topology, r.revision, err = get[state.Topology](ctx, f, state.TopologyKey(farm)); err != nil {
		return reading{}, err
	}
	if a := f.agent; a.names != nil && r.assignment.Names == state.NamesSelf {
		a.names.SetZone(dns.Plan(r.Topology, r.Topology.Names))
	}
	if r.Secret, _, err = get[map[string]string](ctx, f, state.SecretKey(farm, as.Role.Name)); err != nil {
		return reading{}, err
	}
	if f.traits.Replicated {
		d, revision, err := get[state.Database](ctx, f, state.DatabaseKey(farm, as.Role.Name))
		if err != nil {
			return reading{}, err
		}
		if revision != 0 {
			r.Database = &d
		}
	}
	exports, err := f.exports(ctx, as, r.Topology)
	if err != nil {
		return reading{}, err
	}
	if p := as.Role.MySQLProxy; p != nil {
		if r.proxy, err = f.proxyTo(ctx, as, r.Topology); err != nil {
			return reading{}, err
		}
		maps.Copy(exports, dbproxy.Environment(*p))
	}
	r.Environment = environment(as, r.Secret, exports)
	return r, nil
}

// exports are what the roles used hand out; of two that hand out the same name, the one used last wins.
func (f *follower) exports(ctx context.Context, as state.Assignment, topology state.Topology) (map[string]string, error) {
	all := map[string]string{}
	for _, id := range as.Role.Uses {
		of, err := f.exportsOf(ctx, as, topology, id)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, of)
	}
	return all, nil
}

// exportsOf is what one role hands out.
func (f *follower) exportsOf(ctx context.Context, as state.Assignment, topology state.Topology, id string) (map[string]string, error) {
	name := strings.TrimPrefix(id, as.Farm+"/")
	role, ok := topology.Roles[name]
	if !ok {
		return nil, nil
	}
	b, ok := f.Behavior(role.Behavior)
	if !ok {
		return nil, nil
	}
	secret, _, err := get[map[string]string](ctx, f, state.SecretKey(as.Farm, name))
	if err != nil {
		return nil, err
	}
	// As much of its declaration as its users are told.
	declared := spec.Role{Farm: as.Farm, Name: name, Behavior: role.Behavior, Settings: role.Settings}
	return b.Exports(declared, as.Zone, role, secret), nil
}

// proxyTo is the proxy that the role declares, nil while the farm does not know yet where it leads to.
func (f *follower) proxyTo(ctx context.Context, as state.Assignment, topology state.Topology) (*dbproxy.Want, error) {
	role := func(id string) (state.RoleTopology, bool) {
		t, ok := topology.Roles[strings.TrimPrefix(id, as.Farm+"/")]
		return t, ok
	}
	id, err := as.Role.MySQLProxy.Database(as.Role.Uses, func(id string) bool {
		t, _ := role(id)
		b, ok := f.Behavior(t.Behavior)
		return ok && b.Traits().Replicated
	})
	if err != nil {
		return nil, fmt.Errorf("mysql_proxy: %w", err)
	}
	t, ok := role(id)
	if !ok {
		return nil, fmt.Errorf("mysql_proxy: the topology does not know role %s yet", id)
	}
	exports, err := f.exportsOf(ctx, as, topology, id)
	if err != nil {
		return nil, err
	}
	w := dbproxy.Of(*as.Role.MySQLProxy, t, exports)
	return &w, nil
}

// environment merges: the role's own, its secrets, what the roles used export, and what this instance is.
func environment(as state.Assignment, secret, exports map[string]string) map[string]string {
	env := maps.Clone(as.Role.Environment)
	if env == nil {
		env = map[string]string{}
	}
	for _, name := range as.Role.Secrets {
		if v, ok := secret[name]; ok {
			env[name] = v
		}
	}
	maps.Copy(env, exports)
	maps.Copy(env, map[string]string{
		"FARMHAND_FARM":     as.Farm,
		"FARMHAND_ROLE":     as.Role.Name,
		"FARMHAND_INDEX":    strconv.Itoa(as.Index),
		"FARMHAND_INSTANCE": state.InstanceName(as.Role.Name, as.Index),
		"FARMHAND_ADDRESS":  as.Address,
		"FARMHAND_ZONE":     as.Zone,
	})
	return env
}

// first reads until it can be read: with the role's own secret, if its behavior needs one, and with the topology
// knowing all roles used, so that a first boot script finds the variables that it was promised.
func (f *follower) first(ctx context.Context, needsSecret bool) (reading, error) {
	for said := ""; ; {
		r, err := f.read(ctx)
		if err == nil {
			err = r.incomplete(needsSecret)
		}
		if err == nil {
			return r, nil
		}
		if s := err.Error(); s != said && ctx.Err() == nil {
			f.say("waiting for what the farm has for this instance: %v", err)
			said = s
		}
		if err := pause(ctx, f.hints); err != nil {
			return r, err
		}
	}
}

func (r reading) incomplete(needsSecret bool) error {
	if needsSecret && len(r.Secret) == 0 {
		return errors.New("the role's credentials are not made yet")
	}
	for _, id := range r.Uses {
		if _, ok := r.Topology.Roles[strings.TrimPrefix(id, r.assignment.Farm+"/")]; !ok {
			return fmt.Errorf("the topology does not know role %s yet", id)
		}
	}
	return nil
}

// keepUp hands every change to the behavior, one after the other, until ctx ends. Whatever goes wrong, the instance
// goes on with what it has.
func (a *agent) keepUp(ctx context.Context, f *follower, now behavior.Input) {
	// What failed is tried again, ever less often: whatever stood in the way (a full disk, a starved machine) may pass.
	wait := time.Duration(0)
	for {
		var retry <-chan time.Time
		if wait > 0 {
			retry = time.After(wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-retry:
		case <-f.hints:
			select {
			case <-ctx.Done():
				return
			case <-time.After(gatherTime):
			}
		}
		r, err := f.read(ctx)
		if err != nil {
			wait = retryTime
			continue
		}
		a.assign(r.assignment)
		// Before the application: its environment may lead to a proxy that is new.
		proxied := a.applyProxy(ctx, r.proxy)
		if !reflect.DeepEqual(r.Input, now) {
			if err = a.apply(ctx, r.Input, now); err == nil {
				now = r.Input
			}
		}
		err = errors.Join(proxied, err)
		if err != nil {
			wait = min(max(retryTime, 2*wait), longestRetry)
		} else {
			wait = 0
		}
		if ctx.Err() == nil {
			a.applied(r.revision, err)
		}
	}
}

func (a *agent) applyProxy(ctx context.Context, w *dbproxy.Want) error {
	ctx, cancel := context.WithTimeoutCause(ctx, applyTime, fmt.Errorf("it took longer than %s", applyTime))
	defer cancel()
	return guarded("changing the proxy to the database", func() error { return a.proxy.Apply(ctx, w) })
}

func (a *agent) apply(ctx context.Context, next, now behavior.Input) error {
	ctx, cancel := context.WithTimeoutCause(ctx, applyTime, fmt.Errorf("it took longer than %s", applyTime))
	defer cancel()
	if !maps.Equal(next.Environment, now.Environment) {
		if err := a.writeEnvironment(next.Environment); err != nil {
			return err
		}
	}
	return guarded("taking a change over", func() error { return a.runner.Apply(ctx, next) })
}
