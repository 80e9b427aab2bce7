package iam

import (
	"maps"
	"slices"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

type (
	putPolicy struct {
		RoleName       string `q:",required"`
		PolicyName     string `q:",required"`
		PolicyDocument string `q:",required"`
	}
	policyName struct {
		RoleName   string `q:",required"`
		PolicyName string `q:",required"`
	}
	policyOut struct{ RoleName, PolicyName, PolicyDocument string }
	namesOut  struct {
		PolicyNames []string
		IsTruncated bool
	}
	attachPolicy struct {
		RoleName  string `q:",required"`
		PolicyArn string `q:",required"`
	}
	listAttached struct {
		RoleName           string `q:",required"`
		PathPrefix, Marker string
		MaxItems           int
	}
	attachedOut struct {
		AttachedPolicies []struct{ PolicyName, PolicyArn string }
		IsTruncated      bool
	}
)

// mostInline is the quota of a role's inline policies together, in characters without white space.
const mostInline = 10240

func (s *Service) onPolicies() {
	wire.On(s.Query, "PutRolePolicy", s.putPolicy)
	wire.On(s.Query, "GetRolePolicy", func(_ *wire.Context, in *policyName) (*policyOut, error) {
		r, err := s.role(in.RoleName)
		if err != nil {
			return nil, err
		}
		text, ok := r.inline[in.PolicyName]
		if !ok {
			return nil, noEntity("The role policy with name %s cannot be found.", in.PolicyName)
		}
		encoded, err := document(text)
		return &policyOut{in.RoleName, in.PolicyName, encoded}, err
	})
	wire.On(s.Query, "DeleteRolePolicy", func(_ *wire.Context, in *policyName) (*nothing, error) {
		r, err := s.role(in.RoleName)
		if err != nil {
			return nil, err
		}
		if _, ok := r.inline[in.PolicyName]; !ok {
			return nil, noEntity("The role policy with name %s cannot be found.", in.PolicyName)
		}
		delete(r.inline, in.PolicyName)
		return &nothing{}, nil
	})
	wire.On(s.Query, "ListRolePolicies", func(_ *wire.Context, in *paged) (*namesOut, error) {
		r, err := s.role(in.RoleName)
		if err != nil {
			return nil, err
		}
		return &namesOut{PolicyNames: slices.Sorted(maps.Keys(r.inline))}, nil
	})
	wire.On(s.Query, "AttachRolePolicy", func(_ *wire.Context, in *attachPolicy) (*nothing, error) {
		r, err := s.role(in.RoleName)
		if err != nil {
			return nil, err
		}
		r.attached[in.PolicyArn] = in.PolicyArn[strings.LastIndex(in.PolicyArn, "/")+1:]
		return &nothing{}, nil
	})
	wire.On(s.Query, "DetachRolePolicy", func(_ *wire.Context, in *attachPolicy) (*nothing, error) {
		r, err := s.role(in.RoleName)
		if err != nil {
			return nil, err
		}
		if _, ok := r.attached[in.PolicyArn]; !ok {
			return nil, noEntity("Policy %s was not found.", in.PolicyArn)
		}
		delete(r.attached, in.PolicyArn)
		return &nothing{}, nil
	})
	wire.On(s.Query, "ListAttachedRolePolicies", func(_ *wire.Context, in *listAttached) (*attachedOut, error) {
		r, err := s.role(in.RoleName)
		if err != nil {
			return nil, err
		}
		out := &attachedOut{}
		for _, arn := range slices.Sorted(maps.Keys(r.attached)) {
			out.AttachedPolicies = append(out.AttachedPolicies, struct{ PolicyName, PolicyArn string }{r.attached[arn], arn})
		}
		return out, nil
	})
}

func (s *Service) putPolicy(_ *wire.Context, in *putPolicy) (*nothing, error) {
	r, err := s.role(in.RoleName)
	if err != nil {
		return nil, err
	}
	if err := checkName("policyName", in.PolicyName, 128); err != nil {
		return nil, err
	}
	if _, err := document(in.PolicyDocument); err != nil {
		return nil, err
	}
	total := len(strings.Join(strings.Fields(in.PolicyDocument), ""))
	for name, text := range r.inline {
		if name != in.PolicyName {
			total += len(strings.Join(strings.Fields(text), ""))
		}
	}
	if total > mostInline {
		return nil, conflict("LimitExceeded", "Maximum policy size of %d bytes exceeded for role %s", mostInline, in.RoleName)
	}
	r.inline[in.PolicyName] = in.PolicyDocument
	return &nothing{}, nil
}
