package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// cloudPlatform is fakePlatform as EC2 is: it launches in batches, gives addresses itself, has load balancers and a stock.
type cloudPlatform struct {
	*fakePlatform
	batches  [][]string // instances of each LaunchAll
	room     int        // machines that it has capacity for; 0: any number
	targets  map[string][]string
	unwell   map[string]string // machine id → state of its target
	deaf     error             // of every question to its balancers
	stocked  []string          // roles of the last Keep
	restocks int
	grown    []platform.Grown // by the next Grow
	sized    int              // what web-1's volume of 40 GB is to be, as the last Grow was told
}

func (p *cloudPlatform) Grow(_ context.Context, _ []spec.Role, size func(string, spec.Volume, int) int) ([]platform.Grown, error) {
	grown := p.grown
	p.grown, p.sized = nil, size("web-1", spec.Volume{SizeGB: 40, MaxSizeGB: 60}, 40)
	return grown, nil
}

func (p *cloudPlatform) Open(context.Context) (platform.Network, error) {
	return platform.Network{}, nil
}

func (p *cloudPlatform) LaunchAll(ctx context.Context, ls []platform.Launch) []platform.Result {
	var names []string
	results := make([]platform.Result, len(ls))
	for i, l := range ls {
		names = append(names, l.Instance)
		if p.room > 0 && len(p.up()) >= p.room {
			results[i].Err = fmt.Errorf("%w: no t4g.small in any zone", platform.ErrUnavailable)
			continue
		}
		l.Address = fmt.Sprintf("10.0.0.%d", 10+p.launches)
		results[i].Machine, results[i].Err = p.Launch(ctx, l)
		if l.Bootstrap.Secret != "" {
			p.complain("%s is given a secret", l.Instance)
		}
	}
	p.batches = append(p.batches, names)
	return results
}

func (p *cloudPlatform) Balance(_ context.Context, targets map[string][]string) (map[string]map[string]platform.Target, error) {
	if p.deaf != nil {
		return nil, p.deaf
	}
	p.targets = targets
	found := map[string]map[string]platform.Target{}
	for group, ids := range targets {
		found[group] = map[string]platform.Target{}
		for _, id := range ids {
			found[group][id] = platform.Target{State: "healthy"}
		}
		for id, s := range p.unwell {
			found[group][id] = platform.Target{State: s, Reason: "as the test wants it"}
		}
	}
	return found, nil
}

// crashCloud is a cloudPlatform under a sidecar that dies at one of its steps.
type crashCloud struct {
	crashPlatform
	cloud *cloudPlatform
}

func (p crashCloud) LaunchAll(ctx context.Context, ls []platform.Launch) []platform.Result {
	results := make([]platform.Result, len(ls))
	for i := range results {
		results[i].Err = errCrashed
	}
	err := p.crash.do("launching a batch", func() error { results = p.cloud.LaunchAll(ctx, ls); return nil })
	for i := range results {
		if err != nil {
			results[i].Err = err
		}
	}
	return results
}

func (p *cloudPlatform) Keep(_ context.Context, roles []spec.Role, generations map[string]string) error {
	p.restocks++
	p.stocked = nil
	for _, r := range roles {
		if generations[r.Name] == "" {
			p.complain("role %s is stocked without a generation", r.Name)
		}
		p.stocked = append(p.stocked, r.Name)
	}
	return nil
}

const group = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/web/1"

func cloudWorld(t *testing.T, min int) *world {
	w := newWorld(t, newMemory())
	w.platform.open = true
	w.cloud = &cloudPlatform{fakePlatform: w.platform, unwell: map[string]string{}}
	farm := spec.Farm{Name: farmName, Zone: "shop.internal", AWS: &spec.AWS{Region: "eu-west-1", AMI: "ami-1", SubnetIDs: []string{"subnet-1"}, InstanceTypes: []string{"t4g.small"}}}
	farm.SetDefaults()
	w.put(state.FarmKey(farmName), state.Declared[spec.Farm]{Spec: farm})
	w.declare(spec.Role{Name: "web", Behavior: "base", Min: min, Max: 200, AWS: &spec.RoleAWS{TargetGroupARNs: []string{group}}})
	return w
}

func (w *world) phases() map[state.Phase]int {
	n := map[state.Phase]int{}
	items, err := store.ListJSON[state.Instance](w.ctx, w.store, state.InstancePrefix(farmName))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, i := range items {
		n[i.Value.Phase]++
	}
	return n
}

func (w *world) ticks(n int) {
	for range n {
		w.tick()
	}
}

func (w *world) unbroken() {
	w.t.Helper()
	for _, b := range w.platform.broken {
		w.t.Error(b)
	}
}

// TestBatch: what a tick launches goes in one call; what that call could not place is tried again alone, by the same tokens.
func TestBatch(t *testing.T) {
	w := cloudWorld(t, 100)
	w.cloud.room = 60
	w.tick()
	if len(w.cloud.batches) != 1 || len(w.cloud.batches[0]) != 100 {
		t.Fatalf("100 launches took %d calls", len(w.cloud.batches))
	}
	w.cloud.room = 0
	w.ticks(12)
	if n := w.phases()[state.Running]; n != 100 {
		t.Errorf("%d of 100 run: %v", n, w.phases())
	}
	again := 0
	for _, b := range w.cloud.batches[1:] {
		again += len(b)
	}
	if again != 40 {
		t.Errorf("%d were launched again, in %d calls; 40 had found no room", again, len(w.cloud.batches)-1)
	}
	w.unbroken()
}

// TestBatchCrash: a sidecar that dies anywhere in a batch leaves what the next one takes up by the same tokens; the strict
// fake complains of a second machine for an instance.
func TestBatchCrash(t *testing.T) {
	for at := 0; ; at++ {
		w := cloudWorld(t, 5)
		c := &crash{at: at}
		w.crash = c
		w.ticks(30)
		died := c.step > at
		if n := w.phases()[state.Running]; n != 5 {
			t.Fatalf("after a crash at call %d %d of 5 run: %v", at, n, w.phases())
		}
		w.unbroken()
		if !died {
			if at < 20 || len(w.cloud.batches) != 1 {
				t.Errorf("a life without a crash has %d steps and %d batches", at, len(w.cloud.batches))
			}
			return
		}
	}
}

// TestBalance: what serves is registered, what its balancer finds unwell is replaced, what drains is taken out and waited for.
func TestBalance(t *testing.T) {
	w := cloudWorld(t, 2)
	w.ticks(20)
	if got := w.cloud.targets[group]; len(got) != 2 {
		t.Fatalf("registered: %v", got)
	}
	id := w.machineID("web-1")
	w.cloud.unwell[id] = "unhealthy"
	w.ticks(30)
	if slices.Contains(w.cloud.targets[group], id) || w.phases()[state.Draining] != 0 || w.phases()[state.Running] != 2 {
		t.Errorf("after it was found unhealthy: registered %v, %v", w.cloud.targets[group], w.phases())
	}
	delete(w.cloud.unwell, id)

	// One that cannot be asked condemns nobody.
	before := w.machineID("web-2")
	w.cloud.deaf = errors.New("throttled")
	w.ticks(30)
	if w.machineID("web-2") != before || w.phases()[state.Running] != 2 {
		t.Errorf("with deaf balancers: %v", w.phases())
	}
	w.cloud.deaf = nil

	id = w.machineID("web-2")
	w.cloud.unwell[id] = "draining"
	w.declare(spec.Role{Name: "web", Behavior: "base", Min: 1, Max: 1, AWS: &spec.RoleAWS{TargetGroupARNs: []string{group}}})
	id3 := w.machineID("web-3")
	w.cloud.unwell[id3] = "draining"
	w.ticks(10)
	if w.phases()[state.Draining] != 1 {
		t.Errorf("while its connections end: %v", w.phases())
	}
	clear(w.cloud.unwell)
	w.ticks(5)
	if p := w.phases(); p[state.Draining] != 0 || p[state.Running] != 1 {
		t.Errorf("after its connections have ended: %v", p)
	}

	// A role that gives its target group up leaves nothing registered there.
	w.declare(spec.Role{Name: "web", Behavior: "base", Min: 1, Max: 1})
	w.ticks(2)
	if got, ok := w.cloud.targets[group]; !ok || len(got) != 0 {
		t.Errorf("given up: %v %t", got, ok)
	}
	w.unbroken()
}

// TestStock: the platform is told which roles there are, a role that is being deleted is none.
func TestStock(t *testing.T) {
	w := cloudWorld(t, 1)
	w.ticks(10)
	if !slices.Equal(w.cloud.stocked, []string{"web"}) || w.cloud.restocks > 6 {
		t.Errorf("stocked %v, %d times in 20 s of 5 s ticks", w.cloud.stocked, w.cloud.restocks)
	}
	deleting[spec.Role](w, state.RoleKey(farmName, "web"))
	w.ticks(6)
	if len(w.cloud.stocked) != 0 {
		t.Errorf("stocked %v", w.cloud.stocked)
	}
	w.unbroken()
}

// TestVolumesGrow: the platform is told how large volumes are to be, as full as they are, and what it does is told as events.
func TestVolumesGrow(t *testing.T) {
	w := cloudWorld(t, 1)
	w.ticks(6)
	report, _, err := store.GetJSON[state.Report](t.Context(), w.store, state.ReportKey(farmName, "web-1"))
	if err != nil {
		t.Fatal(err)
	}
	full := func(share float64, size int, grown ...platform.Grown) {
		t.Helper()
		report.VolumeUsed, report.At = share, w.now()
		w.put(state.ReportKey(farmName, "web-1"), report)
		w.platform.machines[w.machineID("web-1")].mute = true // it would write another one
		w.cloud.grown = grown
		w.ticks(4)
		w.platform.machines[w.machineID("web-1")].mute = false
		if w.cloud.sized != size {
			t.Errorf("%.0f %% full, a volume of 40 GB is to have %d, want %d", share*100, w.cloud.sized, size)
		}
	}
	full(0.5, 40)
	if w.heard("hold", "data volume") {
		t.Errorf("events %v", w.said())
	}
	full(0.9, 50, platform.Grown{Instance: "web-1", Volume: "vol-1", From: 40, To: 50})
	for kind, part := range map[string]string{"volume": "volume vol-1 grows from 40 to 50 GB; it is 90 % full", "hold": "the data volume of web-1 is 90 % full"} {
		if !w.heard(kind, part) {
			t.Errorf("no event of kind %s with %q: %v", kind, part, w.events())
		}
	}
}

func (w *world) machineID(instance string) string {
	i, _, err := store.GetJSON[state.Instance](w.ctx, w.store, state.InstanceKey(farmName, instance))
	if err != nil {
		return ""
	}
	return i.PlatformID
}

// TestElasticIPFollows: of a role whose indexes have addresses, a machine that is on its way out is waited for, so that its index and its
// address go to the next one; others are replaced at once, under the next free index.
func TestElasticIPFollows(t *testing.T) {
	for elastic, want := range map[bool]string{true: "web-1 web-2", false: "web-2 web-3"} {
		w := cloudWorld(t, 2)
		w.declare(spec.Role{Name: "web", Behavior: "base", Min: 2, Max: 200, AWS: &spec.RoleAWS{ElasticIP: elastic}})
		w.ticks(6)
		m := w.platform.machines[w.machineID("web-1")]
		m.Status = platform.Ending
		w.ticks(3)
		delete(w.platform.machines, m.ID)
		w.ticks(12)
		var names []string
		for _, i := range w.records() {
			if i.Phase == state.Running {
				names = append(names, i.Name())
			}
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != want {
			t.Errorf("with elastic_ip = %v there are %s, want %s", elastic, got, want)
		}
	}
}
