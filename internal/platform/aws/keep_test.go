package aws

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// tick is one look of a sidecar's, and what follows it: as long after the last as its tick is.
func (w *world) tick(generation string, roles ...spec.Role) {
	w.Helper()
	w.pass(5 * time.Second)
	w.list(w.p)
	w.keep(w.p, generation, roles...)
}

// states counts the account's instances by their state.
func (w *world) states() map[string]int {
	n := map[string]int{}
	for _, i := range w.aws.EC2.Instances() {
		n[i.State]++
	}
	return n
}

func (w *world) declare(role spec.Role) {
	w.Helper()
	if _, err := store.PutJSON(w.Context(), w.store, state.RoleKey(w.farm.Name, role.Name), state.Declared[spec.Role]{Spec: role}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) end(m platform.Machine) {
	w.Helper()
	if err := w.p.Terminate(w.Context(), m.ID, 0); err != nil {
		w.Fatal(err)
	}
}

// TestWarmPool: machines set themselves up, are stopped, are started in place of a launch, are replaced by new ones, and go with the
// generation and the pool.
func TestWarmPool(t *testing.T) {
	w := newWorld(t)
	role := spec.Role{Farm: "shop", Name: "web", Max: 10, AWS: &spec.RoleAWS{WarmPool: 2}}
	w.tick("g1", role)
	if got := w.states(); got["running"] != 2 {
		t.Fatalf("two machines are to set themselves up; there are %v", got)
	}
	if ms := w.list(w.p); len(ms) != 0 {
		t.Errorf("machines of the stock are listed as the farm's: %+v", ms)
	}
	setUp := func() {
		for _, id := range w.aws.EC2.Alive() {
			if key, _, err := store.GetJSON[state.Machine](t.Context(), w.store, state.MachineKey("shop", id)); err != nil || key.Warm == "" {
				continue
			}
			if _, err := store.PutJSON(t.Context(), w.store, state.ReportKey("shop", id), state.Report{Warm: true}); err != nil {
				t.Fatal(err)
			}
		}
	}
	setUp()
	w.tick("g1", role)
	w.tick("g1", role)
	if got := w.states(); got["stopped"] != 2 || got["running"] != 0 {
		t.Fatalf("what is set up is to be stopped; there are %v", got)
	}
	w.aws.ResetCalls()
	l := w.launch(1)
	l.RoleSpec = role
	m := w.all(w.p, []platform.Launch{l})[0]
	if n := w.aws.Calls().Count("CreateFleet"); n != 0 || w.aws.Calls().Count("StartInstances") != 1 {
		t.Errorf("a launch made %d launches: %v", n, w.aws.Calls())
	}
	w.tick("g1", role)
	ms := w.list(w.p)
	if len(ms) != 1 || ms[0].ID != m.ID || ms[0].Instance != "web-1" || ms[0].Status != platform.Up {
		t.Errorf("the farm's machines are %+v", ms)
	}
	if got := w.states(); got["stopped"] != 1 || got["running"] != 2 {
		t.Errorf("there are %v: want web-1, one in stock, and one on its way there", got)
	}
	setUp()
	w.tick("g1", role)
	w.tick("g2", role) // another generation: the stock is renewed, and web-1 is not its concern
	w.tick("g2", role)
	setUp()
	w.tick("g2", role)
	w.tick("g2", role)
	if got := w.states(); got["stopped"] != 2 || got["running"] != 1 {
		t.Errorf("after another generation there are %v", got)
	}
	w.tick("g2", spec.Role{Farm: "shop", Name: "web", Max: 10})
	w.tick("g2", spec.Role{Farm: "shop", Name: "web", Max: 10})
	if got := w.states(); got["stopped"] != 0 || got["running"] != 1 {
		t.Errorf("without a pool there are %v", got)
	}
}

// TestWarmPoolWithoutRoom: a stopped machine that EC2 has no room for stays in stock, and the launch is made otherwise.
func TestWarmPoolWithoutRoom(t *testing.T) {
	w := newWorld(t)
	role := spec.Role{Farm: "shop", Name: "web", Max: 10, AWS: &spec.RoleAWS{WarmPool: 1}}
	w.tick("g1", role)
	id := w.aws.EC2.Alive()[0]
	if _, err := store.PutJSON(t.Context(), w.store, state.ReportKey("shop", id), state.Report{Warm: true}); err != nil {
		t.Fatal(err)
	}
	w.tick("g1", role)
	w.tick("g1", role)
	w.aws.Fail("ec2:StartInstances", "InsufficientInstanceCapacity", 1)
	l := w.launch(1)
	l.RoleSpec = role
	if m := w.all(w.p, []platform.Launch{l})[0]; m.ID == id {
		t.Errorf("web-1 is machine %s, which EC2 had no room for", id)
	}
	w.tick("g1", role)
	if got := w.states(); got["stopped"] != 1 || got["running"] != 1 {
		t.Errorf("there are %v, want web-1 and the stock", got)
	}
}

// TestElasticIPFollowsItsIndex: to the next machine, and no further than the role's max.
func TestElasticIPFollowsItsIndex(t *testing.T) {
	w := newWorld(t)
	role := spec.Role{Farm: "shop", Name: "web", Max: 2, AWS: &spec.RoleAWS{ElasticIP: true}}
	addresses := func() map[string]types.Address { // by index
		t.Helper()
		out, err := sdk.NewFromConfig(w.aws.Config()).DescribeAddresses(t.Context(), &sdk.DescribeAddressesInput{})
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]types.Address{}
		for _, a := range out.Addresses {
			all[tag(a.Tags, tagInstance)] = a
		}
		if len(all) != len(out.Addresses) {
			t.Errorf("an index has several addresses: %v", out.Addresses)
		}
		return all
	}
	ms := w.all(w.p, w.launches(2))
	w.tick("g1", role)
	w.tick("g1", role)
	first := addresses()
	for i, m := range ms {
		if a := first[w.launch(i+1).Instance]; awssdk.ToString(a.InstanceId) != m.ID {
			t.Errorf("%s has not the address %+v", m.Instance, a)
		}
	}
	if listed := w.list(w.p); listed[0].Address == "" || listed[0].Address != awssdk.ToString(first[listed[0].Instance].PublicIp) && !strings.HasPrefix(listed[0].Address, "10.") {
		t.Errorf("listed as %+v", listed[0])
	}
	w.end(ms[0])
	w.tick("g1", role)
	next := w.launch(1)
	next.Token = "the next one"
	m := w.all(w.p, []platform.Launch{next})[0]
	w.tick("g1", role)
	w.tick("g1", role)
	if a := addresses()["web-1"]; awssdk.ToString(a.InstanceId) != m.ID || awssdk.ToString(a.PublicIp) != awssdk.ToString(first["web-1"].PublicIp) {
		t.Errorf("the next web-1, %s, has not the address of the former: %+v", m.ID, a)
	}
	w.end(ms[1])
	for range 3 {
		w.tick("g1", role)
	}
	if len(addresses()) != 2 {
		t.Errorf("an index that is away for a while has lost its address: %v", addresses())
	}
	role.Max = 1
	w.pass(2 * time.Minute)
	w.tick("g1", role)
	w.tick("g1", role)
	if all := addresses(); len(all) != 1 || all["web-1"].PublicIp == nil {
		t.Errorf("with max = 1 there are %v", all)
	}
	w.pass(20 * time.Minute)
	w.tick("g1", spec.Role{Farm: "shop", Name: "web", Max: 1})
	w.tick("g1", spec.Role{Farm: "shop", Name: "web", Max: 1})
	if all := addresses(); len(all) != 0 {
		t.Errorf("without elastic_ip there are %v", all)
	}
}

// volumes are the farm's by zone.
func (w *world) volumesByZone() map[string][]string {
	w.Helper()
	out, err := sdk.NewFromConfig(w.aws.Config()).DescribeVolumes(w.Context(), &sdk.DescribeVolumesInput{Filters: []types.Filter{filter("tag:"+tagInstance, "db-1")}})
	if err != nil {
		w.Fatal(err)
	}
	all := map[string][]string{}
	for _, v := range out.Volumes {
		if !awssdk.ToBool(v.Encrypted) || awssdk.ToInt32(v.Size) != w.size || v.VolumeType != types.VolumeTypeGp3 {
			w.Errorf("a volume is %+v, want %d GB of encrypted gp3", v, w.size)
		}
		all[awssdk.ToString(v.AvailabilityZone)] = append(all[awssdk.ToString(v.AvailabilityZone)], awssdk.ToString(v.VolumeId))
	}
	return all
}

// TestVolumeFollowsItsIndex: it pins its machines to its zone, is attached to each in turn, and moves to another zone only when its own
// has had no room for five minutes: by a snapshot, after which neither that nor the former volume is left.
func TestVolumeFollowsItsIndex(t *testing.T) {
	w := newWorld(t)
	w.size = 40
	role := spec.Role{Farm: "shop", Name: "db", Max: 1, Volume: &spec.Volume{Path: "/data", SizeGB: 40}}
	w.declare(role)
	ensure := func() string {
		t.Helper()
		id, err := w.p.EnsureVolume(t.Context(), "db", "db-1")
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	launch := func(token string) platform.Launch {
		return platform.Launch{Farm: "shop", Role: "db", Instance: "db-1", Token: token, Generation: "g1", Image: w.farm.AWS.AMI, Volume: ensure(), VolumePath: "/data", RoleSpec: role}
	}
	attached := func(m platform.Machine, volume string) {
		t.Helper()
		out, err := sdk.NewFromConfig(w.aws.Config()).DescribeVolumes(t.Context(), &sdk.DescribeVolumesInput{VolumeIds: []string{volume}})
		if err != nil || len(out.Volumes[0].Attachments) != 1 || awssdk.ToString(out.Volumes[0].Attachments[0].InstanceId) != m.ID {
			t.Fatalf("volume %s is not attached to %s: %+v, %v", volume, m.ID, out, err)
		}
	}
	volume := ensure()
	if again := ensure(); again != volume {
		t.Fatalf("the index has volumes %s and %s", volume, again)
	}
	m := w.all(w.p, []platform.Launch{launch("1")})[0]
	w.tick("g1", role)
	attached(m, volume)
	zone := m.Zone
	if all := w.volumesByZone(); len(all) != 1 || len(all[zone]) != 1 {
		t.Fatalf("machine in %s, volumes %v", zone, all)
	}

	w.end(m)
	w.tick("g1", role)
	m = w.all(w.p, []platform.Launch{launch("2")})[0]
	w.tick("g1", role)
	if m.Zone != zone {
		t.Errorf("the next machine is in %s, and the data in %s", m.Zone, zone)
	}
	attached(m, volume)

	// What has grown moves as large as it is.
	if grown, err := w.p.Grow(t.Context(), []spec.Role{role}, to(50)); err != nil || len(grown) != 1 || grown[0].To != 50 {
		t.Fatalf("it grows: %v, %v", grown, err)
	}
	w.size = 50
	w.end(m)
	w.tick("g1", role)
	w.aws.EC2.NoCapacity("", zone, "", true)
	var moved platform.Machine
	for waited := time.Duration(0); ; waited += 30 * time.Second {
		if waited > 30*time.Minute {
			t.Fatal("it did not move within half an hour")
		}
		m, err := w.p.Launch(t.Context(), launch("3"))
		w.pass(25 * time.Second)
		w.tick("g1", role)
		if err == nil {
			moved = m
			if waited < moveAfter {
				t.Errorf("it moved after a shortage of %s, want no sooner than %s", waited, moveAfter)
			}
			break
		}
		if !errors.Is(err, platform.ErrCapacity) && !errors.Is(err, platform.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if moved.Zone == zone {
		t.Fatalf("its machine is in %s, which has no room", zone)
	}
	for range 5 {
		w.pass(time.Minute)
		w.tick("g1", role)
	}
	if all := w.volumesByZone(); len(all) != 1 || len(all[moved.Zone]) != 1 {
		t.Fatalf("after the move to %s there are volumes %v", moved.Zone, all)
	}
	attached(moved, ensure())
	snapshots, err := sdk.NewFromConfig(w.aws.Config()).DescribeSnapshots(t.Context(), &sdk.DescribeSnapshotsInput{OwnerIds: []string{"self"}})
	if err != nil || len(snapshots.Snapshots) != 0 {
		t.Errorf("the move left snapshots %v, %v", snapshots, err)
	}
	w.end(moved)
	w.tick("g1", role)
	if err := w.p.DeleteVolume(t.Context(), ensure()); err != nil {
		t.Error(err)
	}
	if all := w.volumesByZone(); len(all) != 0 {
		t.Errorf("there are volumes %v", all)
	}
}

// TestNotices: a scheduled retirement shows with its time; one that is over does not.
func TestNotices(t *testing.T) {
	w := newWorld(t)
	ms := w.all(w.p, w.launches(3))
	at := w.clock().Add(48 * time.Hour)
	w.aws.EC2.Retire(ms[0].ID, "instance-retirement", at)
	w.aws.EC2.Retire(ms[1].ID, "system-reboot", at.Add(time.Hour))
	w.pass(2 * noticesEvery)
	got := map[string]*platform.Notice{}
	for _, m := range w.list(w.p) {
		got[m.ID] = m.Notice
	}
	if n := got[ms[0].ID]; n == nil || n.Kind != "retirement" || !n.Before.Equal(at) {
		t.Errorf("the one to be retired: %+v", n)
	}
	if n := got[ms[1].ID]; n == nil || n.Kind != "maintenance" {
		t.Errorf("the one to be rebooted: %+v", n)
	}
	if n := got[ms[2].ID]; n != nil {
		t.Errorf("the third: %+v", n)
	}
	over := "[Completed] The instance is running on degraded hardware"
	if _, ok := soonest([]types.InstanceStatusEvent{{Code: types.EventCodeInstanceStop, Description: &over, NotBefore: &at}}); ok {
		t.Error("an event that is over counts")
	}
}

// markets counts machines by market.
func (w *world) markets() (onDemand, spot int) {
	alive := w.aws.EC2.Alive()
	for _, i := range w.aws.EC2.Instances() {
		if !slices.Contains(alive, i.ID) {
			continue
		}
		if i.Spot {
			spot++
		} else {
			onDemand++
		}
	}
	return onDemand, spot
}

// TestSpotSplit: the stated share is Spot, over however many launches; where Spot has no room on-demand ones are taken, unless only Spot
// is wanted.
func TestSpotSplit(t *testing.T) {
	with := func(w *world, from, to int, a spec.RoleAWS) []platform.Launch {
		var ls []platform.Launch
		for n := from; n <= to; n++ {
			l := w.launch(n)
			l.RoleSpec = spec.Role{Farm: "shop", Name: "web", Max: 100, AWS: &a}
			ls = append(ls, l)
		}
		return ls
	}
	half := spec.RoleAWS{Spot: 50, OnDemandBase: 2}
	w := newWorld(t)
	for n := 1; n <= 10; n++ { // one by one
		w.all(w.p, with(w, n, n, half))
		w.pass(5 * time.Second)
	}
	if onDemand, spot := w.markets(); onDemand != 6 || spot != 4 {
		t.Errorf("one by one: %d on demand and %d Spot of 10, want 2 and half of 8: 6 and 4", onDemand, spot)
	}
	w = newWorld(t)
	w.all(w.p, with(w, 1, 10, half))
	if onDemand, spot := w.markets(); onDemand != 6 || spot != 4 {
		t.Errorf("at once: %d on demand and %d Spot", onDemand, spot)
	}
	w = newWorld(t)
	w.aws.EC2.NoCapacity("", "", "spot", true)
	w.all(w.p, with(w, 1, 10, half))
	if onDemand, spot := w.markets(); onDemand != 10 || spot != 0 {
		t.Errorf("without room on Spot: %d on demand and %d Spot", onDemand, spot)
	}
	e := explainCode("AuthFailure.ServiceLinkedRoleCreationNotPermitted", "The provided credentials do not have permission to create the service-linked role for EC2 Spot Instances.", "launching", 0)
	if !errors.Is(e, platform.ErrCapacity) || !strings.Contains(e.Error(), "create-service-linked-role --aws-service-name spot.amazonaws.com") {
		t.Errorf("an account that never used Spot: %v", e)
	}
	w = newWorld(t)
	w.aws.EC2.NoCapacity("", "", "spot", true)
	for i, r := range w.p.LaunchAll(t.Context(), with(w, 1, 3, spec.RoleAWS{SpotOnly: true})) {
		if !errors.Is(r.Err, platform.ErrCapacity) {
			t.Errorf("launch %d of Spot only, without room: %v", i, r.Err)
		}
	}
}

// TestPartOfAFleet: those that came are the farm's, and the others are told why; asked again they come, and nobody twice.
func TestPartOfAFleet(t *testing.T) {
	w := newWorld(t)
	w.aws.EC2.Quota(3)
	results := w.p.LaunchAll(t.Context(), w.launches(5))
	came := 0
	for _, r := range results {
		switch {
		case r.Err == nil:
			came++
		case !errors.Is(r.Err, platform.ErrCapacity) || !strings.Contains(r.Err.Error(), "Service Quotas"):
			t.Errorf("one that did not come: %v", r.Err)
		}
	}
	if came != 3 || len(w.aws.EC2.Alive()) != 3 {
		t.Fatalf("%d came and %d are there, want 3", came, len(w.aws.EC2.Alive()))
	}
	w.aws.EC2.Quota(-1)
	w.pass(refusedFirst + time.Minute)
	w.all(w.p, w.launches(5))
	names := map[string]bool{}
	for _, m := range w.list(w.p) {
		names[m.Instance] = true
	}
	if len(names) != 5 || len(w.aws.EC2.Alive()) != 5 {
		t.Errorf("there are %v on %d machines", names, len(w.aws.EC2.Alive()))
	}
}

// TestProtectedMachine: one that somebody protects against its end holds nobody else up.
func TestProtectedMachine(t *testing.T) {
	w := newWorld(t)
	ms := w.all(w.p, w.launches(3))
	c := sdk.NewFromConfig(w.aws.Config())
	_, err := c.ModifyInstanceAttribute(t.Context(), &sdk.ModifyInstanceAttributeInput{InstanceId: &ms[1].ID, DisableApiTermination: &types.AttributeBooleanValue{Value: awssdk.Bool(true)}})
	if err != nil {
		t.Fatal(err)
	}
	errs := make(chan error, len(ms))
	for _, m := range ms {
		go func() {
			if err := w.p.Terminate(t.Context(), m.ID, 0); err != nil {
				err = fmt.Errorf("%s: %w", m.ID, err)
				errs <- err
				return
			}
			errs <- nil
		}()
	}
	failed := 0
	for range ms {
		if err := <-errs; err != nil {
			failed++
			if !strings.Contains(err.Error(), ms[1].ID) {
				t.Errorf("ending another one than the protected: %v", err)
			}
		}
	}
	if alive := w.aws.EC2.Alive(); failed != 1 || len(alive) != 1 || alive[0] != ms[1].ID {
		t.Errorf("%d ends failed, %v are left", failed, alive)
	}
}

// TestTickOfAThousandWithEverything: target groups, volumes and addresses do not take a tick over its twelve calls.
func TestTickOfAThousandWithEverything(t *testing.T) {
	w := newWorld(t)
	w.aws.EC2.Quota(-1)
	w.aws.EC2.AddressQuota(2000)
	role := spec.Role{Farm: "shop", Name: "web", Max: 1000, AWS: &spec.RoleAWS{ElasticIP: true, TargetGroupARNs: []string{w.aws.TargetGroup()}}}
	db := spec.Role{Farm: "shop", Name: "db", Max: 20, Volume: &spec.Volume{Path: "/data", SizeGB: 40}}
	w.declare(role)
	w.declare(db)
	ls := w.launches(980)
	for i := range ls {
		ls[i].RoleSpec = role
	}
	w.all(w.p, ls)
	for n := 1; n <= 20; n++ {
		instance := state.InstanceName("db", n)
		volume, err := w.p.EnsureVolume(t.Context(), "db", instance)
		if err != nil {
			t.Fatal(err)
		}
		w.all(w.p, []platform.Launch{{Farm: "shop", Role: "db", Instance: instance, Token: instance, Generation: "g1", Image: w.farm.AWS.AMI, Volume: volume, VolumePath: "/data", RoleSpec: db}})
	}
	most := 0
	var which awstest.Calls
	for n := range 60 { // five minutes: addresses and volumes are still being dealt out, a few each time
		w.pass(5 * time.Second)
		w.aws.ResetCalls()
		var ids []string
		for _, m := range w.list(w.p) {
			if m.Role == "web" {
				ids = append(ids, m.ID)
			}
		}
		if _, err := w.p.ListVolumes(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.p.Balance(t.Context(), map[string][]string{w.aws.TargetGroup(): ids}); err != nil {
			t.Fatal(err)
		}
		w.keep(w.p, "g1", role, db)
		if calls := w.aws.Calls(); n > 0 && len(calls) > most { // the first one registers 980 targets
			most, which = len(calls), calls
		}
	}
	if most > 12 {
		t.Errorf("a tick took %d calls: %+v", most, which)
	} else {
		t.Logf("a tick over 1000 machines with addresses, volumes and a target group takes %d calls at most", most)
	}
}
