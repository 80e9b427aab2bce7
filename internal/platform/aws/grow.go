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
)

// Grow makes the data volumes of roles as large as size says, and of the type that is declared. It returns what it has begun; the machine's
// file system follows by its agent. It looks once a minute, and changes a volume once in six hours, as EBS has it.
func (p *AWS) Grow(ctx context.Context, roles []spec.Role, size func(instance string, declared spec.Volume, now int) int) ([]platform.Grown, error) {
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
		in := modification(v, declared, size(instance, declared, int(awssdk.ToInt32(v.Size))))
		if in == nil {
			continue
		}
		g := platform.Grown{Instance: instance, Volume: id, From: int(awssdk.ToInt32(v.Size)), To: int(awssdk.ToInt32(in.Size))}
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

// modification is what makes a volume of a size and as it is declared, nil for nothing.
func modification(v types.Volume, declared spec.Volume, size int) *ec2.ModifyVolumeInput {
	in := &ec2.ModifyVolumeInput{VolumeId: v.VolumeId, Size: awssdk.Int32(int32(size))}
	changed := size != int(awssdk.ToInt32(v.Size))
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
