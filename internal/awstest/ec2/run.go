package ec2

import (
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

type templateRef struct{ LaunchTemplateId, LaunchTemplateName, Version string }

type runInstances struct {
	launchSpec
	ClientToken      string
	LaunchTemplate   *templateRef
	MaxCount         int `q:",required"`
	MinCount         int `q:",required"`
	PrivateIpAddress string
	SubnetId         string
	AdditionalInfo   string
}

type reservation struct {
	ReservationId, OwnerId string
	Instance               []instanceOut `x:"instancesSet"`
}

func (s *Service) onInstances() {
	wire.On(s.Query, "RunInstances", s.runInstances)
	wire.On(s.Query, "CreateFleet", s.createFleet)
	wire.On(s.Query, "DescribeInstances", s.describeInstances)
	wire.On(s.Query, "DescribeInstanceStatus", s.describeStatus)
	wire.On(s.Query, "TerminateInstances", s.terminateInstances)
	wire.On(s.Query, "StopInstances", s.stopInstances)
	wire.On(s.Query, "StartInstances", s.startInstances)
	wire.On(s.Query, "RebootInstances", s.rebootInstances)
	wire.On(s.Query, "GetConsoleOutput", s.consoleOutput)
	wire.On(s.Query, "ModifyInstanceAttribute", s.modifyInstance)
}

func (s *Service) runInstances(c *wire.Context, in *runInstances) (*reservation, error) {
	if in.MinCount < 1 || in.MaxCount < in.MinCount {
		return nil, wire.Errorf("InvalidParameterValue", "Value (%d) for parameter maxCount is invalid: it must be at least minCount (%d), and that at least 1.", in.MaxCount, in.MinCount)
	}
	params := *in
	params.ClientToken = ""
	ids, err := once(s, c, "RunInstances", in.ClientToken, params, func() ([]string, error) { return s.run(c, in) })
	if err != nil {
		return nil, err
	}
	out := &reservation{OwnerId: s.world.Account}
	for _, id := range ids {
		if i, ok := s.instances[id]; ok {
			s.settle(i)
			out.ReservationId = i.Reservation
			out.Instance = append(out.Instance, s.describe(i))
		}
	}
	return out, nil
}

func (s *Service) run(c *wire.Context, in *runInstances) ([]string, error) {
	spec, tags, err := s.merged(in.LaunchTemplate, in.launchSpec)
	if err != nil {
		return nil, err
	}
	p, err := s.check(spec, in.SubnetId)
	if err != nil {
		return nil, err
	}
	p.template = tags
	if err := c.Commit(); err != nil {
		return nil, err
	}
	if e := s.shortage(p); e != nil {
		return nil, e
	}
	n := min(in.MaxCount, s.room(), p.subnet.AvailableIpAddressCount)
	if n < in.MinCount {
		return nil, wire.Errorf("VcpuLimitExceeded", "You have requested more vCPU capacity than your current vCPU limit allows for the instance bucket that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.")
	}
	var ids []string
	for _, i := range s.make(p, n, in.ClientToken) {
		ids = append(ids, i.ID)
	}
	return ids, nil
}
