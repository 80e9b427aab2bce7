package aws

import (
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// host is an EC2 instance, as last seen or as just launched.
type host struct {
	id, role, generation, batch, name string
	state                             types.InstanceStateName
	zone, subnet, address, kind       string
	spot                              bool
	launched                          time.Time
	reason                            string // why it stopped or ended, in EC2's words
	disks                             map[string]string
}

func hostOf(i types.Instance) host {
	h := host{
		id: awssdk.ToString(i.InstanceId), role: tag(i.Tags, tagRole), generation: tag(i.Tags, tagGeneration),
		batch: tag(i.Tags, tagBatch), name: tag(i.Tags, tagInstance),
		subnet: awssdk.ToString(i.SubnetId), address: awssdk.ToString(i.PrivateIpAddress), kind: string(i.InstanceType),
		spot: i.InstanceLifecycle == types.InstanceLifecycleTypeSpot, launched: awssdk.ToTime(i.LaunchTime),
		disks: map[string]string{},
	}
	if i.State != nil {
		h.state = i.State.Name
	}
	if i.Placement != nil {
		h.zone = awssdk.ToString(i.Placement.AvailabilityZone)
	}
	h.reason = awssdk.ToString(i.StateTransitionReason)
	if i.StateReason != nil && awssdk.ToString(i.StateReason.Message) != "" {
		h.reason = awssdk.ToString(i.StateReason.Message) // it begins with its code: "Server.ScheduledStop: ..."
	}
	for _, d := range i.BlockDeviceMappings {
		if d.Ebs != nil {
			h.disks[awssdk.ToString(d.Ebs.VolumeId)] = string(d.Ebs.Status)
		}
	}
	return h
}

// alive tells whether it runs or is about to.
func (h host) alive() bool {
	return h.state == types.InstanceStateNamePending || h.state == types.InstanceStateNameRunning
}

// gone tells whether EC2 has ended it. It lists such ones for about an hour.
func (h host) gone() bool { return h.state == types.InstanceStateNameTerminated }

// status is what of it concerns the farm. A machine that stops itself or is stopped does not come back by itself.
// One that ended though nobody told the platform to is a dead one, which says why, until Terminate acknowledges it.
func (h host) status(ended bool) platform.Status {
	switch {
	case h.gone() && !ended:
		return platform.Stopped
	case ended || h.state == types.InstanceStateNameShuttingDown:
		return platform.Ending
	case h.state == types.InstanceStateNameRunning:
		return platform.Up
	case h.state == types.InstanceStateNameStopping || h.state == types.InstanceStateNameStopped:
		return platform.Stopped
	}
	return platform.Pending
}

// machine is the host as the instance that the key says it is.
func (p *AWS) machine(h host, key state.Machine) platform.Machine {
	m := platform.Machine{
		ID: h.id, Farm: p.farm.Name, Role: h.role, Generation: h.generation, Instance: key.Instance, Token: key.Token,
		Status: h.status(!key.Ended.IsZero()), Address: h.address, Zone: h.zone, Launched: h.launched,
	}
	if !key.At.IsZero() && key.At.After(m.Launched) && key.Warmed {
		m.Launched = key.At // it was in stock before
	}
	if m.Status == platform.Stopped {
		m.Exit = h.reason
		if m.Exit == "" {
			m.Exit = "EC2 says that it is " + string(h.state) + ", and not why"
		}
	}
	return m
}

// roleOf is "web" of "web-2".
func roleOf(instance string) string {
	if i := strings.LastIndexByte(instance, '-'); i > 0 {
		return instance[:i]
	}
	return instance
}
