package awstest

import (
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/ec2"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

// register makes the services, those first that others ask.
func (s *Server) register(o Options) {
	s.EC2 = ec2.New(s.world, ec2.Options{
		StartDelay: o.StartDelay, StopDelay: o.StopDelay, ListLag: o.ListLag, Backing: o.Backing,
		Profile: func(ref string) (string, string, bool) { return ref, ref, true },
	})
	s.services = map[string]wire.Service{"ec2": s.EC2}
}
