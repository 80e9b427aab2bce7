package iam

import (
	"sort"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

type (
	createRole struct {
		RoleName                               string `q:",required"`
		AssumeRolePolicyDocument               string `q:",required"`
		Path, Description, PermissionsBoundary string
		MaxSessionDuration                     int
		Tags                                   []tag
	}
	roleName struct {
		RoleName string `q:",required"`
	}
	oneRole   struct{ Role roleOut }
	listRoles struct {
		PathPrefix, Marker string
		MaxItems           int
	}
	rolesOut struct {
		Roles       []roleOut
		IsTruncated bool
		Marker      string
	}
	tagRole struct {
		RoleName string `q:",required"`
		Tags     []tag  `q:",required"`
	}
	updateTrust struct {
		RoleName       string `q:",required"`
		PolicyDocument string `q:",required"`
	}
	updateRole struct {
		RoleName           string `q:",required"`
		Description        string
		MaxSessionDuration int
	}
	nothing struct{}
	paged   struct {
		RoleName string `q:",required"`
		Marker   string
		MaxItems int
	}
	roleTags struct {
		Tags        []tag
		IsTruncated bool
	}
	untagRole struct {
		RoleName string   `q:",required"`
		TagKeys  []string `q:",required"`
	}
)

func (s *Service) onRoles() {
	wire.On(s.Query, "CreateRole", s.createRole)
	wire.On(s.Query, "GetRole", func(_ *wire.Context, in *roleName) (*oneRole, error) {
		r, err := s.role(in.RoleName)
		if err != nil {
			return nil, err
		}
		return &oneRole{r.roleOut}, nil
	})
	wire.On(s.Query, "DeleteRole", s.deleteRole)
	wire.On(s.Query, "ListRoles", s.listRoles)
	wire.On(s.Query, "TagRole", func(_ *wire.Context, in *tagRole) (*nothing, error) {
		r, err := s.role(in.RoleName)
		if err != nil {
			return nil, err
		}
		if err := checkTags(in.Tags); err != nil {
			return nil, err
		}
		r.Tags = setTags(r.Tags, in.Tags)
		return &nothing{}, nil
	})
	wire.On(s.Query, "UntagRole", func(_ *wire.Context, in *untagRole) (*nothing, error) {
		r, err := s.role(in.RoleName)
		if err != nil {
			return nil, err
		}
		var left []tag
		for _, t := range r.Tags {
			gone := false
			for _, k := range in.TagKeys {
				gone = gone || k == t.Key
			}
			if !gone {
				left = append(left, t)
			}
		}
		r.Tags = left
		return &nothing{}, nil
	})
	wire.On(s.Query, "ListRoleTags", func(_ *wire.Context, in *paged) (*roleTags, error) {
		r, err := s.role(in.RoleName)
		if err != nil {
			return nil, err
		}
		return &roleTags{Tags: r.Tags}, nil
	})
	wire.On(s.Query, "UpdateAssumeRolePolicy", func(_ *wire.Context, in *updateTrust) (*nothing, error) {
		r, err := s.role(in.RoleName)
		if err != nil {
			return nil, err
		}
		r.AssumeRolePolicyDocument, err = document(in.PolicyDocument)
		return &nothing{}, err
	})
	wire.On(s.Query, "UpdateRole", func(_ *wire.Context, in *updateRole) (*nothing, error) {
		r, err := s.role(in.RoleName)
		if err != nil {
			return nil, err
		}
		r.Description = in.Description
		return &nothing{}, nil
	})
}

func (s *Service) role(name string) (*role, error) {
	if r, ok := s.roles[name]; ok {
		return r, nil
	}
	return nil, noEntity("The role with name %s cannot be found.", name)
}

func (s *Service) createRole(_ *wire.Context, in *createRole) (*oneRole, error) {
	if err := checkName("roleName", in.RoleName, 64); err != nil {
		return nil, err
	}
	if _, ok := s.roles[in.RoleName]; ok {
		return nil, conflict("EntityAlreadyExists", "Role with name %s already exists.", in.RoleName)
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	trust, err := document(in.AssumeRolePolicyDocument)
	if err != nil {
		return nil, err
	}
	if in.Path == "" {
		in.Path = "/"
	}
	if in.MaxSessionDuration == 0 {
		in.MaxSessionDuration = 3600
	}
	r := &role{inline: map[string]string{}, attached: map[string]string{}}
	r.roleOut = roleOut{Path: in.Path, RoleName: in.RoleName, RoleId: "AROA" + s.world.Letters(17), Arn: s.world.ARN("iam", "", "role"+in.Path+in.RoleName),
		AssumeRolePolicyDocument: trust, Description: in.Description, CreateDate: s.world.Now(), MaxSessionDuration: in.MaxSessionDuration, Tags: in.Tags}
	s.roles[in.RoleName] = r
	return &oneRole{r.roleOut}, nil
}

func (s *Service) deleteRole(_ *wire.Context, in *roleName) (*nothing, error) {
	r, err := s.role(in.RoleName)
	if err != nil {
		return nil, err
	}
	if len(r.inline)+len(r.attached) > 0 {
		return nil, conflict("DeleteConflict", "Cannot delete entity, must delete policies first.")
	}
	for _, p := range s.profiles {
		if p.role == in.RoleName {
			return nil, conflict("DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.")
		}
	}
	delete(s.roles, in.RoleName)
	return &nothing{}, nil
}

func (s *Service) listRoles(_ *wire.Context, in *listRoles) (*rolesOut, error) {
	names := make([]string, 0, len(s.roles))
	for n := range s.roles {
		names = append(names, n)
	}
	sort.Strings(names)
	size, werr := s.world.Size(in.MaxItems, 1, 1000)
	if werr != nil {
		return nil, wire.Errorf("ValidationError", "%s", werr.Message)
	}
	page, next, werr := wire.Page(names, func(n string) string { return n }, "roles", in.Marker, size)
	if werr != nil {
		return nil, wire.Errorf("ValidationError", "Invalid Marker")
	}
	out := &rolesOut{Marker: next, IsTruncated: next != ""}
	for _, n := range page {
		out.Roles = append(out.Roles, s.roles[n].roleOut)
	}
	return out, nil
}
