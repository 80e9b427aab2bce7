package iam

import (
	"maps"
	"slices"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

type (
	createProfile struct {
		InstanceProfileName string `q:",required"`
		Path                string
		Tags                []tag
	}
	profileName struct {
		InstanceProfileName string `q:",required"`
	}
	profileRole struct {
		InstanceProfileName string `q:",required"`
		RoleName            string `q:",required"`
	}
	oneProfile  struct{ InstanceProfile profileOut }
	profilesOut struct {
		InstanceProfiles []profileOut
		IsTruncated      bool
		Marker           string
	}
	tagProfile struct {
		InstanceProfileName string `q:",required"`
		Tags                []tag  `q:",required"`
	}
)

func (s *Service) onProfiles() {
	wire.On(s.Query, "CreateInstanceProfile", s.createProfile)
	wire.On(s.Query, "GetInstanceProfile", func(_ *wire.Context, in *profileName) (*oneProfile, error) {
		p, err := s.profile(in.InstanceProfileName)
		if err != nil {
			return nil, err
		}
		return &oneProfile{s.describe(p)}, nil
	})
	wire.On(s.Query, "ListInstanceProfiles", s.listProfiles)
	wire.On(s.Query, "DeleteInstanceProfile", func(_ *wire.Context, in *profileName) (*nothing, error) {
		p, err := s.profile(in.InstanceProfileName)
		if err != nil {
			return nil, err
		}
		if p.role != "" {
			return nil, conflict("DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.")
		}
		delete(s.profiles, in.InstanceProfileName)
		return &nothing{}, nil
	})
	wire.On(s.Query, "AddRoleToInstanceProfile", func(_ *wire.Context, in *profileRole) (*nothing, error) {
		p, err := s.profile(in.InstanceProfileName)
		if err != nil {
			return nil, err
		}
		if _, err := s.role(in.RoleName); err != nil {
			return nil, err
		}
		if p.role != "" {
			return nil, conflict("LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
		}
		p.role = in.RoleName
		return &nothing{}, nil
	})
	wire.On(s.Query, "RemoveRoleFromInstanceProfile", func(_ *wire.Context, in *profileRole) (*nothing, error) {
		p, err := s.profile(in.InstanceProfileName)
		if err != nil {
			return nil, err
		}
		if p.role != in.RoleName {
			return nil, noEntity("The role with name %s is not in the instance profile %s.", in.RoleName, in.InstanceProfileName)
		}
		p.role = ""
		return &nothing{}, nil
	})
	wire.On(s.Query, "ListInstanceProfilesForRole", func(_ *wire.Context, in *paged) (*profilesOut, error) {
		if _, err := s.role(in.RoleName); err != nil {
			return nil, err
		}
		out := &profilesOut{}
		for _, p := range s.profiles {
			if p.role == in.RoleName {
				out.InstanceProfiles = append(out.InstanceProfiles, s.describe(p))
			}
		}
		return out, nil
	})
	wire.On(s.Query, "TagInstanceProfile", func(_ *wire.Context, in *tagProfile) (*nothing, error) {
		p, err := s.profile(in.InstanceProfileName)
		if err != nil {
			return nil, err
		}
		if err := checkTags(in.Tags); err != nil {
			return nil, err
		}
		p.Tags = setTags(p.Tags, in.Tags)
		return &nothing{}, nil
	})
}

func (s *Service) profile(name string) (*profile, error) {
	if p, ok := s.profiles[name]; ok {
		return p, nil
	}
	return nil, noEntity("Instance Profile %s cannot be found.", name)
}

func (s *Service) describe(p *profile) profileOut {
	o := p.profileOut
	if r, ok := s.roles[p.role]; ok {
		o.Roles = []roleOut{r.roleOut}
	}
	return o
}

func (s *Service) createProfile(_ *wire.Context, in *createProfile) (*oneProfile, error) {
	if err := checkName("instanceProfileName", in.InstanceProfileName, 128); err != nil {
		return nil, err
	}
	if _, ok := s.profiles[in.InstanceProfileName]; ok {
		return nil, conflict("EntityAlreadyExists", "Instance Profile %s already exists.", in.InstanceProfileName)
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if in.Path == "" {
		in.Path = "/"
	}
	p := &profile{profileOut: profileOut{Path: in.Path, InstanceProfileName: in.InstanceProfileName, InstanceProfileId: "AIPA" + s.world.Letters(17),
		Arn: s.world.ARN("iam", "", "instance-profile"+in.Path+in.InstanceProfileName), CreateDate: s.world.Now(), Tags: in.Tags}}
	s.profiles[in.InstanceProfileName] = p
	return &oneProfile{s.describe(p)}, nil
}

func (s *Service) listProfiles(_ *wire.Context, in *listRoles) (*profilesOut, error) {
	size, werr := s.world.Size(in.MaxItems, 1, 1000)
	if werr != nil {
		return nil, wire.Errorf("ValidationError", "%s", werr.Message)
	}
	page, next, werr := wire.Page(slices.Sorted(maps.Keys(s.profiles)), func(n string) string { return n }, "profiles", in.Marker, size)
	if werr != nil {
		return nil, wire.Errorf("ValidationError", "Invalid Marker")
	}
	out := &profilesOut{Marker: next, IsTruncated: next != ""}
	for _, n := range page {
		out.InstanceProfiles = append(out.InstanceProfiles, s.describe(s.profiles[n]))
	}
	return out, nil
}
