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
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

const (
	// growEvery is how often volumes are compared with what is declared and how full they are.
	growEvery = time.Minute
	// restTime is how long EBS lets a volume rest between two modifications.
	// https://docs.aws.amazon.com/ebs/latest/userguide/modify-volume-requirements.html
	restTime = 6 * time.Hour
	// growShare is by how much a full volume grows, at least growLeast GiB: within the six hours until it may grow again there
	// is to be room.
	growShare = 4
	growLeast = 5
)

// Grow makes the data volumes of roles what they are declared to be where that is more, or of another type, and those that are full
// larger, up to what their role allows. used is how full each is, by instance (0..1). It returns what it has begun; the machine's file
// system follows by its agent. It looks once a minute, and changes a volume once in six hours, as EBS has it.
func (p *AWS) Grow(ctx context.Context, roles []spec.Role, used map[string]float64) ([]platform.Grown, error) {
	p.growing.Lock()
	defer p.growing.Unlock()
	wanted := map[string]spec.Volume{}
	for _, r := range roles {
		if r.Volume != nil {
			wanted[r.Name] = *r.Volume
		}
	}
	if len(wanted) == 0 || !p.grownAt.IsZero() && p.now().Sub(p.grownAt) < growEvery {
		return nil, nil
	}
	volumes, err := p.volumes(ctx)
	if err != nil {
		return nil, err
	}
	p.grownAt = p.now()
	var all []platform.Grown
	var errs []error
	for _, v := range volumes {
		id, instance := awssdk.ToString(v.VolumeId), tag(v.Tags, tagInstance)
		declared, ok := wanted[roleOf(instance)]
		if rest, modified := p.modified[id]; !ok || modified && p.now().Sub(rest) < restTime {
			continue
		}
		in := modification(v, declared, used[instance])
		if in == nil {
			continue
		}
		g := platform.Grown{Instance: instance, Volume: id, From: int(awssdk.ToInt32(v.Size)), To: int(awssdk.ToInt32(in.Size)), Used: used[instance]}
		switch err := p.modify(ctx, in); {
		case err == nil:
			all = append(all, g)
			p.modified[id] = p.now()
		case code(err) == "VolumeModificationRateExceeded" || code(err) == "IncorrectModificationState": // by another process, or a person
			p.modified[id] = p.now().Add(time.Hour - restTime) // asked again in an hour
			p.log.Info("a volume may not be modified again yet", "volume", id, "instance", instance)
		default:
			errs = append(errs, explain(err, fmt.Sprintf("growing volume %s of %s from %d to %d GB", id, instance, g.From, g.To)))
		}
	}
	return all, errors.Join(errs...)
}

func (p *AWS) modify(ctx context.Context, in *ec2.ModifyVolumeInput) error {
	c, err := p.compute(ctx)
	if err != nil {
		return err
	}
	_, err = c.ModifyVolume(ctx, in)
	return err
}

// modification is what makes a volume as it should be, nil for nothing. A volume never shrinks.
func modification(v types.Volume, declared spec.Volume, used float64) *ec2.ModifyVolumeInput {
	size := int(awssdk.ToInt32(v.Size))
	want := max(size, declared.SizeGB)
	if used >= platform.VolumeFull && declared.MaxSizeGB > want {
		want = min(declared.MaxSizeGB, want+max(want/growShare, growLeast))
	}
	in := &ec2.ModifyVolumeInput{VolumeId: v.VolumeId, Size: awssdk.Int32(int32(want))}
	changed := want != size
	if t := types.VolumeType(declared.Type); t != "" && t != v.VolumeType {
		in.VolumeType, changed = t, true
	}
	if declared.IOPS > 0 && declared.IOPS != int(awssdk.ToInt32(v.Iops)) {
		in.Iops, changed = awssdk.Int32(int32(declared.IOPS)), true
	}
	if declared.Throughput > 0 && declared.Throughput != int(awssdk.ToInt32(v.Throughput)) {
		in.Throughput, changed = awssdk.Int32(int32(declared.Throughput)), true
	}
	if !changed {
		return nil
	}
	return in
}
