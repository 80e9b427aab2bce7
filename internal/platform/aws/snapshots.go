package aws

import (
	"context"
	"errors"
	"fmt"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

var _ platform.Snapshotter = (*AWS)(nil)

// shot is the record of a snapshot, written before EC2 is asked for it: CreateSnapshot has no client token. It goes once EC2 lists the
// snapshot for certain, or certainly does not.
type shot struct {
	Name     string    `json:"name"`
	Role     string    `json:"role"`
	Instance string    `json:"instance"`
	Asked    time.Time `json:"asked"`
	ID       string    `json:"id,omitempty"` // once EC2 has answered
	At       time.Time `json:"at,omitzero"`  // the moment, by EC2's clock
}

func (r shot) snapshot() platform.Snapshot {
	return platform.Snapshot{ID: r.ID, Name: r.Name, Role: r.Role, Instance: r.Instance, At: r.At, State: platform.SnapshotPending, Text: "0%"}
}

func (p *AWS) shotPrefix() string         { return p.farm.Name + "/volume-snapshot/" }
func (p *AWS) shotKey(name string) string { return p.shotPrefix() + name }

// TakeSnapshot has EBS take one, of an attached volume too: it shows what had been written to the volume by then, and is stored from there
// on in EBS' own time. ErrCapacity where a quota is used up; ErrUnavailable where a volume's last snapshot is less than 15 seconds old, or
// the answer to an earlier call was lost and EC2 may yet show what it made.
func (p *AWS) TakeSnapshot(ctx context.Context, role, instance, name string) (platform.Snapshot, error) {
	doing := "taking snapshot " + name + " of " + instance
	if err := platform.CheckSnapshotName(name); err != nil {
		return platform.Snapshot{}, fmt.Errorf("%s: %w", doing, err)
	}
	defer p.shots.lock(name)()
	known, err := p.ListSnapshots(ctx)
	if err != nil {
		return platform.Snapshot{}, err
	}
	if s, ok := named(known, name); ok {
		return s, nil
	}
	r, _, err := store.GetJSON[shot](ctx, p.store, p.shotKey(name))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return platform.Snapshot{}, storeSays(err, "reading of snapshot "+name)
	}
	if err == nil { // an earlier call did not hear EC2's answer
		if known, err = p.askSnapshots(ctx); err != nil {
			return platform.Snapshot{}, err
		}
		if s, ok := named(known, name); ok {
			return s, nil
		}
		if since := p.now().Sub(r.Asked); since < unlisted {
			return platform.Snapshot{}, fmt.Errorf("%s: EC2 was asked for it %s ago and its answer was lost; it may show yet what it made: %w", doing, since.Round(time.Second), platform.ErrUnavailable)
		}
	}
	defer p.disks.lock(instance)()
	volume, err := p.dataVolume(ctx, instance)
	if err != nil {
		return platform.Snapshot{}, fmt.Errorf("%s: %w", doing, err)
	}
	r = shot{Name: name, Role: role, Instance: instance, Asked: p.now().UTC()}
	if err := p.noteShot(ctx, r); err != nil {
		return platform.Snapshot{}, err
	}
	made, err := p.createSnapshot(ctx, r, volume)
	if err != nil {
		refused := isRefused(err)
		if code(err) == "IncorrectState" { // it is being made
			err = fmt.Errorf("%w: volume %s is not ready for it; it is asked for again later: %w", err, volume, platform.ErrUnavailable)
		}
		if refused { // nothing was made
			err = errors.Join(err, p.dropShot(ctx, name))
		}
		return platform.Snapshot{}, explain(err, doing)
	}
	r.ID, r.At = awssdk.ToString(made.SnapshotId), awssdk.ToTime(made.StartTime)
	p.mu.Lock()
	p.shown.add(r.snapshot())
	p.mu.Unlock()
	return r.snapshot(), p.noteShot(ctx, r)
}

// dataVolume is an index's volume; ErrInvalid where it has none.
func (p *AWS) dataVolume(ctx context.Context, instance string) (string, error) {
	d, err := p.diskOf(ctx, instance)
	if err != nil {
		return "", err
	}
	volumes, err := p.volumes(ctx)
	if err != nil {
		return "", err
	}
	for _, v := range volumes {
		if id := awssdk.ToString(v.VolumeId); tag(v.Tags, tagInstance) == instance && (d.ID == "" || id == d.ID) {
			return id, nil
		}
	}
	if d.ID != "" && p.now().Sub(d.At) < unlisted {
		return d.ID, nil // EC2 does not list it yet
	}
	return "", fmt.Errorf("it has no volume: %w", platform.ErrInvalid)
}

// createSnapshot asks once: a call that is repeated by itself, its first answer lost, would make two.
func (p *AWS) createSnapshot(ctx context.Context, r shot, volume string) (*ec2.CreateSnapshotOutput, error) {
	c, err := p.compute(ctx)
	if err != nil {
		return nil, err
	}
	return c.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{
		VolumeId: awssdk.String(volume), Description: awssdk.String("farmhand: snapshot " + r.Name + " of " + r.Instance + " of farm " + p.farm.Name),
		TagSpecifications: tagged(p.tags(tagRole, r.Role, tagInstance, r.Instance, tagSnapshot, r.Name, tagName, p.farm.Name+" "+r.Instance+" "+r.Name), types.ResourceTypeSnapshot),
	}, func(o *ec2.Options) { o.RetryMaxAttempts = 1 })
}

// isRefused tells that EC2 answered, and made nothing. Without an answer, or with one of a fault of its own, it may have.
func isRefused(err error) bool { return code(err) != "" && status(err) < 500 || isThrottled(err) }

// DeleteSnapshot deletes a snapshot of TakeSnapshot's, and what else EC2 may have made of the same call.
func (p *AWS) DeleteSnapshot(ctx context.Context, id string) error {
	doing := "deleting snapshot " + id
	known, err := p.ListSnapshots(ctx)
	if err != nil {
		return err
	}
	s, ok := withID(known, id)
	if !ok { // another process may have taken it since
		if known, err = p.askSnapshots(ctx); err != nil {
			return err
		}
		if s, ok = withID(known, id); !ok {
			return nil
		}
	}
	defer p.shots.lock(s.Name)()
	c, err := p.compute(ctx)
	if err != nil {
		return err
	}
	all, err := p.taken(ctx, filter("tag:"+tagSnapshot, s.Name))
	if err != nil {
		return explain(err, doing)
	}
	ids := []string{id}
	for _, n := range all {
		if other := awssdk.ToString(n.SnapshotId); other != id {
			ids = append(ids, other)
		}
	}
	for _, id := range ids {
		if _, err := c.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: awssdk.String(id)}); err != nil && !isUnknown(err) {
			return explain(err, doing)
		}
		p.mu.Lock()
		p.shown.remove(id, p.now())
		p.mu.Unlock()
	}
	return p.dropShot(ctx, s.Name)
}

func (p *AWS) noteShot(ctx context.Context, r shot) error {
	_, err := store.PutJSON(ctx, p.store, p.shotKey(r.Name), r)
	return storeSays(err, "writing of snapshot "+r.Name)
}

func (p *AWS) dropShot(ctx context.Context, name string) error {
	return storeSays(p.store.Delete(ctx, p.shotKey(name)), "forgetting snapshot "+name)
}
