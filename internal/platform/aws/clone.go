package aws

import (
	"context"
	"errors"
	"fmt"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

// EnsureVolumeOf makes the index's volume of a snapshot: as EnsureVolume would, but never smaller than the snapshot. It is whole at once;
// EBS fetches what is read of it as it is read.
func (p *AWS) EnsureVolumeOf(ctx context.Context, role, instance, snapshot string) (string, error) {
	return p.ensureVolume(ctx, role, instance, snapshot)
}

// usable returns a snapshot of TakeSnapshot's that volumes can be made of.
func (p *AWS) usable(ctx context.Context, id string) (types.Snapshot, error) {
	all, err := p.taken(ctx, filter("snapshot-id", id))
	switch {
	case err != nil:
		return types.Snapshot{}, explain(err, "looking it up")
	case len(all) == 0:
		known, err := p.ListSnapshots(ctx)
		if s, ok := withID(known, id); err == nil && ok && s.State == platform.SnapshotPending {
			return types.Snapshot{}, fmt.Errorf("the snapshot is not listed yet: ask again: %w", platform.ErrUnavailable)
		}
		return types.Snapshot{}, errors.Join(err, fmt.Errorf("the farm has no such snapshot: %w", platform.ErrInvalid))
	}
	switch s := all[0]; s.State {
	case types.SnapshotStateCompleted:
		return s, nil
	case types.SnapshotStateError:
		return types.Snapshot{}, fmt.Errorf("EBS gave the snapshot up (%s): %w", awssdk.ToString(s.StateMessage), platform.ErrInvalid)
	default:
		return types.Snapshot{}, fmt.Errorf("the snapshot is at %s: ask again: %w", awssdk.ToString(s.Progress), platform.ErrUnavailable)
	}
}
