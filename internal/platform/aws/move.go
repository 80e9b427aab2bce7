package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// moveAfter is how long a zone must have had no room for an index's machine before its data is moved to another zone. A snapshot
// takes minutes for each hundred gigabytes, so that a shortage of some minutes is better waited for.
const moveAfter = 5 * time.Minute

// move is a volume's way to another zone: snapshot, new volume from it, old one deleted. Each step is written down before it is
// made, and taken by a launch that comes along; the last one is Keep's (see sweepMoves).
type move struct {
	Zone     string    `json:"zone"`               // where to
	Token    string    `json:"token"`              // client token of the new volume, and tag of the snapshot
	Snapshot string    `json:"snapshot,omitempty"` // once it is made
	At       time.Time `json:"at,omitzero"`        // when it was made
}

// left is what a move no longer needs.
type left struct {
	Volume string `json:"volume,omitempty"` // the former volume; empty where the move was given up
	Token  string `json:"token"`            // of the move: snapshots are tagged with it
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

// hasRoom notes that an index got its machine: the next shortage lasts from its own beginning.
func (p *AWS) hasRoom(ctx context.Context, instance string) {
	defer p.disks.lock(instance)()
	d, err := p.diskOf(ctx, instance)
	if err != nil || d.Lacking.IsZero() {
		return
	}
	d.Lacking = time.Time{}
	if err := p.noteDisk(ctx, instance, d); err != nil {
		p.log.Warn("noting the end of a shortage", "instance", instance, "error", err)
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
func (p *AWS) moving(ctx context.Context, s *sight, instance, zone string) (string, error) {
	defer p.disks.lock(instance)()
	d, err := p.diskOf(ctx, instance)
	if err != nil || d.Move == nil {
		return zone, err
	}
	doing := fmt.Sprintf("moving the data of %s from %s to %s", instance, d.Zone, d.Move.Zone)
	snapshot, err := p.snapshot(ctx, s, instance, &d)
	if err != nil {
		return "", explain(err, doing)
	}
	switch snapshot.State {
	case types.SnapshotStateCompleted:
	case types.SnapshotStateError:
		err := fmt.Errorf("%s: snapshot %s failed (%s); it is made again: %w", doing, awssdk.ToString(snapshot.SnapshotId), awssdk.ToString(snapshot.StateMessage), platform.ErrUnavailable)
		return "", errors.Join(err, p.giveUp(ctx, instance, d))
	default:
		return "", fmt.Errorf("%s: snapshot %s is at %s: %w", doing, awssdk.ToString(snapshot.SnapshotId), awssdk.ToString(snapshot.Progress), platform.ErrUnavailable)
	}
	id, err := p.createVolume(ctx, p.declared(ctx, d.Role), instance, d.Move.Token, d.Move.Zone, snapshot)
	if c := code(err); c == "IdempotentParameterMismatch" || c == "InsufficientVolumeCapacity" || c == "InvalidSnapshot.NotFound" {
		return "", errors.Join(explain(err, doing), p.giveUp(ctx, instance, d)) // the next shortage decides anew
	}
	if err != nil {
		return "", explain(err, doing)
	}
	next := disk{Role: d.Role, Token: d.Move.Token, ID: id, Zone: d.Move.Zone, At: p.now().UTC(), Left: append(d.Left, left{Volume: d.ID, Token: d.Move.Token})}
	return next.Zone, p.noteDisk(ctx, instance, next)
}

// giveUp ends a move that came to nothing. The data is where it was.
func (p *AWS) giveUp(ctx context.Context, instance string, d disk) error {
	d.Left = append(d.Left, left{Token: d.Move.Token})
	d.Move = nil
	return p.noteDisk(ctx, instance, d)
}

// snapshot makes the move's snapshot or finds it: CreateSnapshot has no client token, so that it is found by its tag. That tag is the
// move's own: backups of the volume may have copied all others, and are of another time.
func (p *AWS) snapshot(ctx context.Context, s *sight, instance string, d *disk) (types.Snapshot, error) {
	found, err := p.snapshots(ctx, filter("tag:"+tagMove, d.Move.Token))
	if err != nil {
		return types.Snapshot{}, err
	}
	if len(found) > 0 {
		return found[0], nil
	}
	if d.Move.Snapshot != "" && p.now().Sub(d.Move.At) < unlisted {
		return types.Snapshot{SnapshotId: awssdk.String(d.Move.Snapshot), State: types.SnapshotStatePending, Progress: awssdk.String("the start")}, nil
	}
	if err := p.letGo(ctx, s, d.ID); err != nil {
		return types.Snapshot{}, err
	}
	c, err := p.compute(ctx)
	if err != nil {
		return types.Snapshot{}, err
	}
	made, err := c.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{
		VolumeId: awssdk.String(d.ID), Description: awssdk.String("farmhand: " + instance + " of farm " + p.farm.Name + " moves to " + d.Move.Zone),
		TagSpecifications: tagged(p.tags(tagRole, d.Role, tagInstance, instance, tagMove, d.Move.Token), types.ResourceTypeSnapshot),
	})
	if err != nil {
		return types.Snapshot{}, err
	}
	d.Move.Snapshot, d.Move.At = awssdk.ToString(made.SnapshotId), p.now().UTC()
	return types.Snapshot{SnapshotId: made.SnapshotId, State: made.State, Progress: made.Progress, VolumeSize: made.VolumeSize}, p.noteDisk(ctx, instance, *d)
}

// letGo makes sure that nobody writes to a volume any more: a snapshot has what was written before it was begun, and the last is to
// be in it. ErrUnavailable while a machine has the volume.
func (p *AWS) letGo(ctx context.Context, s *sight, id string) error {
	volumes, err := p.volumes(ctx)
	if err != nil {
		return err
	}
	for _, v := range volumes {
		switch {
		case awssdk.ToString(v.VolumeId) != id:
		case v.State == types.VolumeStateAvailable:
			return nil
		default:
			if err := p.takeFromStopped(ctx, s, id, ""); err != nil {
				return err
			}
			return fmt.Errorf("volume %s is %s: its former machine has to let go of it first: %w", id, v.State, platform.ErrUnavailable)
		}
	}
	return fmt.Errorf("volume %s is not listed: %w", id, platform.ErrUnavailable)
}

func (p *AWS) snapshots(ctx context.Context, which types.Filter) ([]types.Snapshot, error) {
	c, err := p.compute(ctx)
	if err != nil {
		return nil, err
	}
	out, err := c.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: []types.Filter{p.ours(), which}})
	if err != nil {
		return nil, err
	}
	return out.Snapshots, nil
}

// deleteSnapshots deletes those of the farm's that the filter selects.
func (p *AWS) deleteSnapshots(ctx context.Context, which types.Filter) error {
	all, err := p.snapshots(ctx, which)
	if err != nil {
		return explain(err, "listing the snapshots that volumes were moved by")
	}
	c, err := p.compute(ctx)
	if err != nil {
		return err
	}
	for _, snapshot := range all {
		if _, err := c.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: snapshot.SnapshotId}); err != nil && !isUnknown(err) {
			return explain(err, "deleting snapshot "+awssdk.ToString(snapshot.SnapshotId)+", which a volume was moved by")
		}
	}
	return nil
}

// dropSnapshots deletes the snapshots of all moves that a volume's record knows of.
func (p *AWS) dropSnapshots(ctx context.Context, d disk) error {
	var tokens []string
	for _, l := range d.Left {
		tokens = append(tokens, l.Token)
	}
	if d.Move != nil {
		tokens = append(tokens, d.Move.Token)
	}
	if len(tokens) == 0 {
		return nil
	}
	return p.deleteSnapshots(ctx, filter("tag:"+tagMove, tokens...))
}

// sweepEvery is how often leftovers of moves are looked for.
const sweepEvery = time.Minute

// sweepMoves deletes what moves have left over: the former volume once the new one is there, and the snapshots.
func (p *AWS) sweepMoves(ctx context.Context, s *sight, b *budget) error {
	if !p.swept.IsZero() && p.now().Sub(p.swept) < sweepEvery {
		return nil
	}
	disks, err := store.ListJSON[disk](ctx, p.store, p.diskPrefix())
	if err != nil {
		return storeSays(err, "looking for leftovers of moved volumes")
	}
	p.swept = p.now()
	for _, d := range disks {
		if len(d.Value.Left) == 0 {
			continue
		}
		if b.left < 4 { // two lists, and two to be deleted
			p.swept = time.Time{}
			return nil
		}
		b.left -= 4
		if err := p.sweep(ctx, s, strings.TrimPrefix(d.Key, p.diskPrefix())); err != nil {
			return err
		}
	}
	return nil
}

// sweep deletes what an index's first unswept move has left over.
func (p *AWS) sweep(ctx context.Context, s *sight, instance string) error {
	defer p.disks.lock(instance)()
	d, err := p.diskOf(ctx, instance)
	if err != nil || len(d.Left) == 0 {
		return err
	}
	if old := d.Left[0].Volume; old != "" {
		volumes, err := p.volumes(ctx)
		if err != nil {
			return err
		}
		has := func(id string, states ...types.VolumeState) bool {
			return slices.ContainsFunc(volumes, func(v types.Volume) bool {
				return awssdk.ToString(v.VolumeId) == id && (len(states) == 0 || slices.Contains(states, v.State))
			})
		}
		switch {
		case old == d.ID || !has(d.ID, types.VolumeStateAvailable, types.VolumeStateInUse):
			return nil // nothing but a new volume with the data in it makes the former one superfluous
		case has(old, types.VolumeStateInUse):
			return p.takeFromStopped(ctx, s, old, "")
		case has(old):
			c, err := p.compute(ctx)
			if err != nil {
				return err
			}
			if _, err := c.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: awssdk.String(old)}); err != nil && !isUnknown(err) {
				return explain(err, "deleting volume "+old+", whose data was moved to "+d.ID)
			}
			p.log.Info("deleted a volume whose data was moved", "instance", instance, "volume", old, "now", d.ID)
		}
	}
	if err := p.deleteSnapshots(ctx, filter("tag:"+tagMove, d.Left[0].Token)); err != nil {
		return err
	}
	d.Left = d.Left[1:]
	return p.noteDisk(ctx, instance, d)
}
