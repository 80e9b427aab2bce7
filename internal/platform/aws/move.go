package aws

import (
	"context"
	"fmt"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// moveAfter is how long a zone must have had no room for an index's machine before its data is moved to another zone. A snapshot
// takes minutes for each hundred gigabytes, so that a shortage of some minutes is better waited for.
const moveAfter = 5 * time.Minute

// move is a volume's way to another zone: snapshot, new volume from it, old one deleted. Each step is written down before it is
// made, and taken by a launch that comes along.
type move struct {
	Zone     string `json:"zone"` // where to
	Snapshot string `json:"snapshot,omitempty"`
	Token    string `json:"token"` // client token of the new volume
}

// lacking notes that an index's zone had no room for its machine, and decides on a move once that has lasted.
func (p *AWS) lacking(ctx context.Context, role spec.Role, instance, zone string) {
	defer p.disks.lock(instance)()
	d, err := p.diskOf(ctx, instance)
	if err != nil || d.ID == "" || d.Move != nil {
		return
	}
	switch {
	case d.Lacking.IsZero():
		d.Lacking = p.now().UTC()
	case p.now().Sub(d.Lacking) < moveAfter:
		return
	default:
		to := p.otherZone(ctx, role, zone)
		if to == "" {
			return
		}
		d.Move = &move{Zone: to, Token: newToken()}
		p.log.Info("moving a data volume to a zone with room", "instance", instance, "volume", d.ID, "from", zone, "to", to)
	}
	if err := p.noteDisk(ctx, instance, d); err != nil {
		p.log.Warn("noting a shortage", "instance", instance, "error", err)
	}
}

// otherZone is one of the role's that has not refused lately; "" for none.
func (p *AWS) otherZone(ctx context.Context, role spec.Role, not string) string {
	w := p.wants(role)
	all, err := p.poolsOf(ctx, role, w, "")
	if err != nil {
		return ""
	}
	for _, market := range w.markets() {
		for _, of := range p.pools.open(all, market) {
			if of.Zone != not {
				return of.Zone
			}
		}
	}
	return ""
}

// moving takes the next step of an index's move, and returns the zone for its machine. ErrUnavailable while it is under way: the
// launch is tried again.
func (p *AWS) moving(ctx context.Context, instance, zone string) (string, error) {
	defer p.disks.lock(instance)()
	d, err := p.diskOf(ctx, instance)
	if err != nil || d.Move == nil {
		return zone, err
	}
	c, err := p.compute(ctx)
	if err != nil {
		return "", err
	}
	doing := fmt.Sprintf("moving the data of %s from %s to %s", instance, d.Zone, d.Move.Zone)
	snapshot, err := p.snapshot(ctx, c, instance, &d)
	if err != nil {
		return "", explain(err, doing)
	}
	switch snapshot.State {
	case types.SnapshotStateCompleted:
	case types.SnapshotStateError:
		_, err := c.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: snapshot.SnapshotId})
		if err != nil && !isUnknown(err) {
			return "", explain(err, doing)
		}
		d.Move = nil
		if err := p.noteDisk(ctx, instance, d); err != nil {
			return "", err
		}
		return "", fmt.Errorf("%s: snapshot %s failed (%s); it is made again: %w", doing, awssdk.ToString(snapshot.SnapshotId), awssdk.ToString(snapshot.StateMessage), platform.ErrUnavailable)
	default:
		return "", fmt.Errorf("%s: snapshot %s is at %s: %w", doing, awssdk.ToString(snapshot.SnapshotId), awssdk.ToString(snapshot.Progress), platform.ErrUnavailable)
	}
	id, err := p.createVolume(ctx, p.declared(ctx, d.Role), instance, d.Move.Token, d.Move.Zone, awssdk.ToString(snapshot.SnapshotId))
	if err != nil {
		return "", explain(err, doing)
	}
	old := d.ID
	next := disk{Role: d.Role, Token: d.Move.Token, ID: id, Zone: d.Move.Zone, At: p.now().UTC()}
	if err := p.noteDisk(ctx, instance, next); err != nil {
		return "", err
	}
	// What is left over from here on is in nobody's way; Keep takes up what a crash leaves.
	if err := p.deleteDisk(ctx, old); err != nil {
		p.log.Warn("deleting the volume that was moved", "volume", old, "error", err)
	}
	if _, err := c.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: snapshot.SnapshotId}); err != nil && !isUnknown(err) {
		p.log.Warn("deleting the snapshot that a volume was moved by", "snapshot", awssdk.ToString(snapshot.SnapshotId), "error", err)
	}
	return next.Zone, nil
}

// snapshot makes the move's snapshot or finds it: CreateSnapshot has no client token, so that it is found by its tags.
func (p *AWS) snapshot(ctx context.Context, c *ec2.Client, instance string, d *disk) (types.Snapshot, error) {
	in := &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: []types.Filter{p.ours(), filter("tag:"+tagInstance, instance), filter("volume-id", d.ID)}}
	found, err := c.DescribeSnapshots(ctx, in)
	if err != nil {
		return types.Snapshot{}, err
	}
	if len(found.Snapshots) > 0 {
		return found.Snapshots[0], nil
	}
	if d.Move.Snapshot != "" {
		return types.Snapshot{SnapshotId: awssdk.String(d.Move.Snapshot), State: types.SnapshotStatePending, Progress: awssdk.String("the start")}, nil
	}
	made, err := c.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{
		VolumeId: awssdk.String(d.ID), Description: awssdk.String("farmhand: " + instance + " of farm " + p.farm.Name + " moves to " + d.Move.Zone),
		TagSpecifications: tagged(p.tags(tagRole, d.Role, tagInstance, instance), types.ResourceTypeSnapshot),
	})
	if err != nil {
		return types.Snapshot{}, err
	}
	d.Move.Snapshot = awssdk.ToString(made.SnapshotId)
	return types.Snapshot{SnapshotId: made.SnapshotId, State: made.State, Progress: made.Progress}, p.noteDisk(ctx, instance, *d)
}
