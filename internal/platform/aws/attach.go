package aws

import (
	"context"
	"errors"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// dataDevice is the name under which data volumes are attached, out of those that AWS recommends for data; Nitro instances show it
// as /dev/nvme*n1 (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/device_naming.html), with the volume's id as serial number.
const dataDevice = "/dev/sdf"

// attach attaches volumes to running machines that are to have them. A machine that ends lets go of its volume by itself; one that
// is stopped has it taken away.
func (p *AWS) attach(ctx context.Context, s *sight, b *budget) error {
	var waiting []host
	for _, id := range sortedKeys(s.keys) {
		key := s.keys[id]
		h, ok := s.host(id)
		if !ok || key.Volume == "" || !key.Ended.IsZero() || h.state != types.InstanceStateNameRunning || h.disks[key.Volume] != "" {
			continue
		}
		waiting = append(waiting, h)
	}
	var errs []error
	for _, h := range turned(waiting, p.turn) {
		if !b.take() {
			break
		}
		errs = append(errs, p.attachTo(ctx, s, h, s.keys[h.id].Volume))
	}
	return errors.Join(errs...)
}

func (p *AWS) attachTo(ctx context.Context, s *sight, h host, volume string) error {
	c, err := p.compute(ctx)
	if err != nil {
		return err
	}
	doing := "attaching volume " + volume + " to machine " + h.id
	_, err = c.AttachVolume(ctx, &ec2.AttachVolumeInput{VolumeId: awssdk.String(volume), InstanceId: awssdk.String(h.id), Device: awssdk.String(dataDevice)})
	if c := code(err); c != "VolumeInUse" && c != "IncorrectState" {
		return explain(err, doing)
	}
	// It hangs on the index's former machine (or on this one already, which the listing does not show yet).
	return p.takeFromStopped(ctx, s, volume, h.id) // and the next tick attaches
}

// takeFromStopped detaches a volume from a stopped machine other than the one given. One that runs or ends keeps it: EC2 frees the
// volume when that machine is gone, and a file system is not pulled out from under one that runs.
func (p *AWS) takeFromStopped(ctx context.Context, s *sight, volume, not string) error {
	c, err := p.compute(ctx)
	if err != nil {
		return err
	}
	for _, other := range s.hosts {
		if other.id == not || other.disks[volume] == "" || other.state != types.InstanceStateNameStopped {
			continue
		}
		_, err := c.DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: awssdk.String(volume), InstanceId: awssdk.String(other.id)})
		if err != nil && code(err) != "IncorrectState" && !isUnknown(err) {
			return explain(err, "taking volume "+volume+" away from stopped machine "+other.id)
		}
	}
	return nil
}
