package aws

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

func TestHundredMachinesInFiveCalls(t *testing.T) {
	w := newWorld(t)
	if _, err := w.p.Open(t.Context()); err != nil { // it looks the subnets up, once for all launches
		t.Fatal(err)
	}
	w.list(w.p) // as the tick does
	w.aws.ResetCalls()
	zones := map[string]int{}
	for _, m := range w.all(w.p, w.launches(100)) {
		zones[m.Zone]++
	}
	if n := len(w.aws.Calls()); n > 5 {
		t.Errorf("it took %d calls: %+v", n, w.aws.Calls())
	} else {
		t.Logf("100 machines in %d calls, over %v", n, zones)
	}
	for zone, n := range zones {
		if n < 33 || n > 34 {
			t.Errorf("zone %s has %d of 100", zone, n)
		}
	}
}

func TestTickOfAThousandInTwelveCalls(t *testing.T) {
	w := newWorld(t)
	w.aws.EC2.Quota(-1)
	w.all(w.p, w.launches(1000))
	w.pass(10 * time.Minute)
	w.list(w.p)
	w.pass(10 * time.Minute)
	w.aws.ResetCalls()
	if n := len(w.list(w.p)); n != 1000 {
		t.Errorf("%d of 1000 are listed", n)
	}
	w.keep(w.p, "g1", spec.Role{Farm: "shop", Name: "web", Max: 1000})
	if n := len(w.aws.Calls()); n > 12 {
		t.Errorf("it took %d calls: %+v", n, w.aws.Calls())
	} else {
		t.Logf("a tick over 1000 machines in %d calls", n)
	}
}

func TestNotListedIsNotLost(t *testing.T) {
	w := newWorld(t, func(o *awstest.Options) { o.ListLag = time.Minute })
	m := w.all(w.p, w.launches(1))[0]
	for name, p := range map[string]*AWS{"the same process": w.p, "another process": w.process()} {
		if ms := w.list(p); len(ms) != 1 || ms[0].ID != m.ID || ms[0].Token != m.Token || ms[0].Status != platform.Pending {
			t.Errorf("%s lists %+v", name, ms)
		}
	}
}

func TestLaunchCutOffByACrash(t *testing.T) {
	w := newWorld(t, func(o *awstest.Options) { o.ListLag = 30 * time.Second })
	b := batch{Role: "web", Generation: "g1", OnDemand: 2, At: w.clock()}
	var err error
	if b.Template, err = w.p.template(t.Context(), spec.Role{Farm: "shop", Name: "web"}, "g1", ""); err != nil {
		t.Fatal(err)
	}
	if b.Pools, err = w.p.poolsOf(t.Context(), spec.Role{}, w.p.wants(spec.Role{}), "eu-west-1a"); err != nil {
		t.Fatal(err)
	}
	for _, l := range w.launches(2) {
		b.Intents = append(b.Intents, intent(l))
	}
	b.ID = b.token("shop")
	if err := w.p.noteBatch(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if _, err := w.p.fleet(t.Context(), b); err != nil { // and here it dies: nobody has written who they are
		t.Fatal(err)
	}
	ms := w.all(w.process(), w.launches(2))
	if ids := w.aws.EC2.Alive(); len(ids) != 2 || ms[0].ID == ms[1].ID {
		t.Errorf("two intents have the machines %v, and there are %v", ms, ids)
	}
}

func TestNoCapacityIsTriedElsewhereAtOnce(t *testing.T) {
	w := newWorld(t)
	w.aws.EC2.NoCapacity("", "eu-west-1a", "", true)
	for _, m := range w.all(w.p, w.launches(4)) {
		if m.Zone == "eu-west-1a" {
			t.Errorf("%s is in the zone without room", m.Instance)
		}
	}
	w.aws.EC2.NoCapacity("", "", "", true)
	l := w.launch(9)
	_, err := w.p.Launch(t.Context(), l)
	if !errors.Is(err, platform.ErrCapacity) || !strings.Contains(err.Error(), "m7g.large on-demand in") {
		t.Errorf("without room anywhere: %v", err)
	}
	w.aws.EC2.NoCapacity("", "", "", false)
	w.pass(refusedFirst + time.Second)
	w.all(w.p, []platform.Launch{l})
}

func TestRefusalsHaveTheirClass(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(w *world)
		class error
		text  string
	}{
		"quota":      {func(w *world) { w.aws.EC2.Quota(0) }, platform.ErrCapacity, "Service Quotas"},
		"permission": {func(w *world) { w.aws.Deny("ec2:CreateFleet") }, platform.ErrInvalid, "ec2:CreateFleet"},
		"throttling": {func(w *world) { w.aws.Throttle("ec2:CreateFleet", 5) }, platform.ErrUnavailable, "slow down"},
		"key pair":   {func(w *world) { w.farm.AWS.KeyName = "nobody" }, platform.ErrInvalid, "aws.key_name"},
		"subnet":     {func(w *world) { w.farm.AWS.SubnetIDs = []string{"subnet-0ffffffffffffffff"} }, platform.ErrInvalid, "aws.subnet_ids"},
		"profile":    {func(w *world) { w.farm.AWS.InstanceProfile = "nobody" }, platform.ErrInvalid, "aws.instance_profile"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.spoil(w)
			_, err := w.process().Launch(t.Context(), w.launch(1))
			if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want %q and %v", err, c.text, c.class)
			}
		})
	}
}
