package aws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// losing is a process that never hears the answers to an action.
func (w *world) losing(action string) *AWS {
	w.Helper()
	p, err := New(Options{Farm: w.farm, Store: w.store, Log: slog.New(slog.DiscardHandler), Now: w.clock, Config: func(context.Context) (awssdk.Config, error) {
		cfg := w.config()
		cfg.HTTPClient = lossy{w.aws.Client(), action}
		return cfg, nil
	}})
	if err != nil {
		w.Fatal(err)
	}
	return p
}

type lossy struct {
	*http.Client
	action string
}

func (l lossy) Do(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	out, err := l.Client.Do(r)
	if err == nil && strings.Contains(string(body), "Action="+l.action+"&") {
		out.Body.Close()
		return nil, io.ErrUnexpectedEOF
	}
	return out, err
}

// database declares a role with volumes and makes its first index's, which is there once a second has passed.
func (w *world) database(sizeGB int) (spec.Role, string) {
	w.Helper()
	role := spec.Role{Farm: "shop", Name: "db", Max: 3, Volume: &spec.Volume{Path: "/data", SizeGB: sizeGB}}
	w.declare(role)
	id, err := w.p.EnsureVolume(w.Context(), "db", "db-1")
	if err != nil {
		w.Fatal(err)
	}
	w.pass(time.Minute)
	return role, id
}

func (w *world) take(p *AWS, name string) platform.Snapshot {
	w.Helper()
	s, err := p.TakeSnapshot(w.Context(), "db", "db-1", name)
	if err != nil {
		w.Fatal(err)
	}
	return s
}

func (w *world) shots(p *AWS) []platform.Snapshot {
	w.Helper()
	all, err := p.ListSnapshots(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return all
}

// allSnapshots are all that EC2 has, whoever made them.
func (w *world) allSnapshots() []types.Snapshot {
	w.Helper()
	out, err := sdk.NewFromConfig(w.aws.Config()).DescribeSnapshots(w.Context(), &sdk.DescribeSnapshotsInput{OwnerIds: []string{"self"}})
	if err != nil {
		w.Fatal(err)
	}
	return out.Snapshots
}

// A crash between the call and the note of its answer makes no second snapshot, though EC2 takes a while to show the first.
func TestASnapshotWhoseAnswerWasLostIsTakenOnce(t *testing.T) {
	w := newWorld(t, func(o *awstest.Options) { o.ListLag = 30 * time.Second })
	w.database(10)
	if _, err := w.losing("CreateSnapshot").TakeSnapshot(t.Context(), "db", "db-1", "a"); !errors.Is(err, platform.ErrUnavailable) {
		t.Fatalf("without an answer: %v", err)
	}
	p := w.process()
	if s, err := p.TakeSnapshot(t.Context(), "db", "db-1", "a"); !errors.Is(err, platform.ErrUnavailable) || !strings.Contains(err.Error(), "answer was lost") {
		t.Errorf("while EC2 does not show it: %+v, %v", s, err)
	}
	w.pass(31 * time.Second)
	s := w.take(p, "a")
	if all := w.allSnapshots(); len(all) != 1 || awssdk.ToString(all[0].SnapshotId) != s.ID || !awssdk.ToTime(all[0].StartTime).Equal(s.At) {
		t.Errorf("it is %+v, and EC2 has %+v", s, all)
	}

	// One that EC2 has not made is made, once it is certain that it has not.
	w.aws.Fail("ec2:CreateSnapshot", "InternalError", 1)
	if _, err := p.TakeSnapshot(t.Context(), "db", "db-1", "b"); !errors.Is(err, platform.ErrUnavailable) {
		t.Fatalf("with a fault of EC2's: %v", err)
	}
	w.pass(time.Minute)
	if _, err := p.TakeSnapshot(t.Context(), "db", "db-1", "b"); !errors.Is(err, platform.ErrUnavailable) {
		t.Fatalf("a minute after it: %v", err)
	}
	w.pass(unlisted)
	b := w.take(p, "b")
	if all := w.shots(p); len(all) != 2 || all[0].ID != s.ID || all[1].ID != b.ID {
		t.Errorf("just made, they are listed as %+v", all)
	}
	if all := w.shots(w.process()); len(all) != 2 {
		t.Errorf("another process lists %+v", all)
	}
	// What somebody deletes at the console is gone, records or not.
	w.pass(unlisted + time.Minute)
	if _, err := sdk.NewFromConfig(w.aws.Config()).DeleteSnapshot(t.Context(), &sdk.DeleteSnapshotInput{SnapshotId: awssdk.String(b.ID)}); err != nil {
		t.Fatal(err)
	}
	w.pass(2 * time.Minute)
	if all := w.shots(p); len(all) != 1 || all[0].ID != s.ID {
		t.Errorf("with one deleted by hand there are %+v", all)
	}
	if entries, err := w.store.List(t.Context(), p.shotPrefix()); err != nil || len(entries) != 0 {
		t.Errorf("there are records left: %v, %v", entries, err)
	}
	if err := p.DeleteSnapshot(t.Context(), s.ID); err != nil {
		t.Error(err)
	}
	if again := w.take(p, "a"); again.ID == s.ID {
		t.Errorf("taken again after it was deleted, it is %+v", again)
	}
}

// Snapshots of moves, and those that AWS Backup and people make, bear the volume's tags. They are not the farm's, and stay.
func TestOnlyTheFarmsOwnSnapshotsCount(t *testing.T) {
	w := newWorld(t)
	_, volume := w.database(10)
	c := sdk.NewFromConfig(w.aws.Config())
	others := 0
	foreign := func(pairs ...string) {
		t.Helper()
		w.pass(time.Minute)
		_, err := c.CreateSnapshot(t.Context(), &sdk.CreateSnapshotInput{VolumeId: awssdk.String(volume), TagSpecifications: tagged(w.p.tags(append(pairs, tagRole, "db", tagInstance, "db-1")...), types.ResourceTypeSnapshot)})
		if err != nil {
			t.Fatal(err)
		}
		others++
	}
	foreign()
	foreign(tagMove, "m1")
	w.pass(time.Minute)
	s := w.take(w.p, "a")
	w.pass(time.Minute)
	if all := w.shots(w.p); len(all) != 1 || all[0].ID != s.ID || all[0].State != platform.SnapshotDone || all[0].Bytes == 0 {
		t.Errorf("there are %+v", all)
	}
	for _, n := range w.allSnapshots() {
		if id := awssdk.ToString(n.SnapshotId); id != s.ID {
			if err := w.p.DeleteSnapshot(t.Context(), id); err != nil {
				t.Error(err)
			}
			if _, err := w.p.EnsureVolumeOf(t.Context(), "db", "db-2", id); !errors.Is(err, platform.ErrInvalid) {
				t.Errorf("a volume of it: %v", err)
			}
		}
	}
	if err := w.p.DeleteVolume(t.Context(), volume); err != nil {
		t.Fatal(err)
	}
	if got := len(w.allSnapshots()); got != others+1 {
		t.Errorf("there are %d snapshots, want %d", got, others+1)
	}
	if err := w.p.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all := w.shots(w.process()); len(all) != 1 {
		t.Errorf("once the farm is gone, there are %+v", all)
	}
	own := types.Snapshot{VolumeId: awssdk.String(volume), Tags: w.p.tags(tagSnapshot, "a")}
	copied := own
	copied.VolumeId = awssdk.String(copiedVolume)
	backup := own
	backup.Tags = append([]types.Tag{{Key: awssdk.String("aws:backup:source-resource"), Value: awssdk.String(volume)}}, own.Tags...)
	if isCopy(own) || !isCopy(copied) || !isCopy(backup) {
		t.Errorf("a copy? of our own: %v, a copy: %v, of AWS Backup: %v", isCopy(own), isCopy(copied), isCopy(backup))
	}
}

// A volume that is made of a snapshot holds it, and is as large as is declared.
func TestAVolumeOfASnapshotIsLargeEnough(t *testing.T) {
	w := newWorld(t)
	role, _ := w.database(40)
	s := w.take(w.p, "a")
	w.pass(time.Minute)
	for n, c := range []struct{ declared, want int }{{20, 40}, {60, 60}} {
		role.Volume.SizeGB, role.Volume.Type, role.Volume.IOPS = c.declared, "io2", 4000
		w.declare(role)
		id, err := w.p.EnsureVolumeOf(t.Context(), "db", fmt.Sprint("db-", n+2), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		out, err := sdk.NewFromConfig(w.aws.Config()).DescribeVolumes(t.Context(), &sdk.DescribeVolumesInput{VolumeIds: []string{id}})
		if err != nil {
			t.Fatal(err)
		}
		v := out.Volumes[0]
		if int(awssdk.ToInt32(v.Size)) != c.want || awssdk.ToString(v.SnapshotId) != s.ID || v.VolumeType != "io2" || !awssdk.ToBool(v.Encrypted) || tag(v.Tags, tagInstance) == "" || tag(v.Tags, tagSnapshot) != "" {
			t.Errorf("declared with %d GB, it is %+v", c.declared, v)
		}
	}
}

// A call for a volume that was cut off is brought to its end by its like, and gives nobody what he did not ask for.
func TestAVolumeOfASnapshotThatWasCutOff(t *testing.T) {
	w := newWorld(t)
	w.database(10)
	s := w.take(w.p, "a")
	w.pass(time.Minute)
	// Made, and nobody was told: there is one volume, and it is whole.
	if _, err := w.losing("CreateVolume").EnsureVolumeOf(t.Context(), "db", "db-2", s.ID); !errors.Is(err, platform.ErrUnavailable) {
		t.Fatal(err)
	}
	id, err := w.process().EnsureVolumeOf(t.Context(), "db", "db-2", s.ID)
	if again, err2 := w.p.EnsureVolume(t.Context(), "db", "db-2"); err != nil || err2 != nil || again != id {
		t.Errorf("it is %q, %v, and %q, %v", id, err, again, err2)
	}
	// Not made: its like makes it, another call waits until that is certain.
	w.aws.Fail("ec2:CreateVolume", "InternalError", 1)
	if _, err := w.p.EnsureVolumeOf(t.Context(), "db", "db-3", s.ID); !errors.Is(err, platform.ErrUnavailable) {
		t.Fatal(err)
	}
	if id, err := w.p.EnsureVolume(t.Context(), "db", "db-3"); !errors.Is(err, platform.ErrUnavailable) {
		t.Errorf("an empty volume, at once: %q, %v", id, err)
	}
	w.pass(unlisted)
	if _, err := w.p.EnsureVolume(t.Context(), "db", "db-3"); err != nil {
		t.Errorf("an empty volume, later: %v", err)
	}
	var of []string
	for _, instance := range []string{"db-2", "db-3"} {
		for _, v := range w.volumesOf(instance) {
			of = append(of, instance+" "+awssdk.ToString(v.SnapshotId))
		}
	}
	if want := "db-2 " + s.ID + ",db-3 "; strings.Join(of, ",") != want {
		t.Errorf("the volumes are of %q, want %q", strings.Join(of, ","), want)
	}
}

func (w *world) volumesOf(instance string) []types.Volume {
	w.Helper()
	all, err := w.p.volumes(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	var some []types.Volume
	for _, v := range all {
		if tag(v.Tags, tagInstance) == instance {
			some = append(some, v)
		}
	}
	return some
}

func TestRefusalsOfSnapshotsHaveTheirClass(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(w *world)
		class error
		text  string
	}{
		"quota":              {func(w *world) { w.aws.Fail("ec2:CreateSnapshot", "SnapshotLimitExceeded", 1) }, platform.ErrCapacity, "Snapshots per Region"},
		"too many at a time": {func(w *world) { w.aws.Fail("ec2:CreateSnapshot", "ConcurrentSnapshotLimitExceeded", 1) }, platform.ErrCapacity, "five"},
		"throttling":         {func(w *world) { w.aws.Throttle("ec2:CreateSnapshot", 1) }, platform.ErrUnavailable, "slow down"},
		"permission":         {func(w *world) { w.aws.Deny("ec2:CreateSnapshot") }, platform.ErrInvalid, "ec2:CreateSnapshot"},
		"too soon":           {func(w *world) { w.take(w.p, "first") }, platform.ErrUnavailable, "15 seconds"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.database(10)
			c.spoil(w)
			if s, err := w.p.TakeSnapshot(t.Context(), "db", "db-1", "a"); !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %+v, %v, want %q and %v", s, err, c.text, c.class)
			}
			w.aws.Allow("ec2:CreateSnapshot")
			w.pass(20 * time.Second)
			w.take(w.p, "a") // a refusal is an answer: nothing has to be waited for
		})
	}
}

// A snapshot that EBS gives up has failed, and no volume is made of it; one that is pending is waited for.
func TestASnapshotThatEBSGivesUp(t *testing.T) {
	w := newWorld(t, func(o *awstest.Options) { o.StartDelay = 10 * time.Minute })
	w.database(10)
	w.pass(10 * time.Minute)
	s := w.take(w.p, "a")
	if _, err := w.p.EnsureVolumeOf(t.Context(), "db", "db-2", s.ID); !errors.Is(err, platform.ErrUnavailable) {
		t.Errorf("a volume of one that is pending: %v", err)
	}
	w.aws.EC2.BreakSnapshot(s.ID, "the key is disabled")
	w.pass(time.Minute)
	if all := w.shots(w.p); len(all) != 1 || all[0].State != platform.SnapshotFailed || !strings.Contains(all[0].Text, "the key is disabled") {
		t.Errorf("it is %+v", all)
	}
	if _, err := w.p.EnsureVolumeOf(t.Context(), "db", "db-2", s.ID); !errors.Is(err, platform.ErrInvalid) || !strings.Contains(err.Error(), "the key is disabled") {
		t.Errorf("a volume of it: %v", err)
	}
	if got := w.volumesOf("db-2"); len(got) != 0 {
		t.Errorf("there are volumes %+v", got)
	}
}

// Ticks every two seconds: while a snapshot is pending for an hour and a half EC2 is asked less and less often, then once a minute.
func TestSnapshotsAreNotAskedForAtEveryTick(t *testing.T) {
	w := newWorld(t, func(o *awstest.Options) { o.StartDelay = 90 * time.Minute })
	w.database(10)
	w.pass(90 * time.Minute)
	s := w.take(w.p, "a")
	ticks := func(d time.Duration) int {
		w.aws.ResetCalls()
		for began := w.clock(); w.clock().Sub(began) < d; w.pass(2 * time.Second) {
			w.shots(w.p)
			w.take(w.p, "a")
		}
		if calls := w.aws.Calls(); len(calls) != calls.Count("ec2:DescribeSnapshots") {
			t.Errorf("there were other calls: %+v", calls)
		}
		return w.aws.Calls().Count("ec2:DescribeSnapshots")
	}
	if n := ticks(90 * time.Minute); n > 290 { // 90 minutes have 270 times 20 seconds
		t.Errorf("%d calls while it was pending", n)
	} else {
		t.Logf("%d calls in 2700 ticks while it was pending", n)
	}
	w.pass(20 * time.Second)
	if all := w.shots(w.p); len(all) != 1 || all[0].ID != s.ID || all[0].State != platform.SnapshotDone {
		t.Fatalf("there are %+v", all)
	}
	if n := ticks(30 * time.Minute); n > 30 {
		t.Errorf("%d calls in half an hour once it was done", n)
	}
}
