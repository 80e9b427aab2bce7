package aws

import (
	"context"
	"errors"
	"fmt"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// Check tells whether the role could be launched: its AMI, types, subnets, groups, key pair and permissions. ErrInvalid if not,
// ErrUnavailable where AWS cannot be asked.
func (p *AWS) Check(ctx context.Context, role spec.Role) error {
	compute, balancers, err := p.clients(ctx)
	if err != nil {
		return err
	}
	role.Farm = p.farm.Name
	i := inspection{ec2: compute, elb: balancers, farm: p.farm, role: role}
	i.all(ctx)
	var errs []error
	for _, f := range i.findings {
		if !f.Warning {
			errs = append(errs, fmt.Errorf("role %s: %w: %w", role.Name, f.Problem, f.class))
		}
	}
	return errors.Join(errs...)
}

// finding is a problem with the class of its cause.
type finding struct {
	spec.Problem
	class error
}

// classOf is an error's class; ErrInvalid where it has none.
func classOf(err error) error {
	for _, class := range []error{platform.ErrUnavailable, platform.ErrCapacity} {
		if errors.Is(err, class) {
			return class
		}
	}
	return platform.ErrInvalid
}
