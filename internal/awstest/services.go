package awstest

import (
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/autoscaling"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/ec2"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/elb"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/iam"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/logs"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/route53"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/s3"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/sts"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

// register makes the services, those first that others ask.
func (s *Server) register(o Options) {
	s.IAM = iam.New(s.world, o.ProfileLag)
	s.EC2 = ec2.New(s.world, ec2.Options{
		StartDelay: o.StartDelay, StopDelay: o.StopDelay, ListLag: o.ListLag, Backing: o.Backing, Profile: s.IAM.Profile, Role: s.IAM.RoleOf,
	})
	s.ELB = elb.New(s.world, s.EC2)
	s.AutoScaling = autoscaling.New(s.world, s.EC2)
	s.Route53 = route53.New(s.world)
	s.S3 = s3.New(s.world)
	s.Logs = logs.New(s.world)
	s.services = map[string]wire.Service{
		"ec2": s.EC2, "elasticloadbalancing": s.ELB, "autoscaling": s.AutoScaling, "iam": s.IAM, "route53": s.Route53,
		"sts": sts.New(s.world, s.IAM.RoleID), "s3": s.S3, "logs": s.Logs,
	}
}

// TargetGroup is the ARN of the target group that is there from the start.
func (s *Server) TargetGroup() string { return elb.TargetGroup(s.world.Region, s.world.Account) }
