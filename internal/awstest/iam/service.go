// Package iam answers for Identity and Access Management: roles with inline policies, and instance profiles. Policies
// are checked to be JSON and kept; none is evaluated.
package iam

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"sort"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

// Service is IAM.
type Service struct {
	*wire.Query
	world    *wire.World
	lag      time.Duration
	roles    map[string]*role
	profiles map[string]*profile
}

type tag struct{ Key, Value string }

type roleOut struct {
	Path, RoleName, RoleId, Arn, AssumeRolePolicyDocument, Description string
	CreateDate                                                         time.Time
	MaxSessionDuration                                                 int
	Tags                                                               []tag
}

type role struct {
	roleOut
	inline   map[string]string
	attached map[string]string // ARN: name
}

type profileOut struct {
	Path, InstanceProfileName, InstanceProfileId, Arn string
	CreateDate                                        time.Time
	Roles                                             []roleOut
	Tags                                              []tag
}

type profile struct {
	profileOut
	role string
}

// New returns IAM. EC2 knows of a new instance profile after lag.
func New(w *wire.World, lag time.Duration) *Service {
	s := &Service{
		Query: &wire.Query{World: w, Version: "2010-05-08", Namespace: "https://iam.amazonaws.com/doc/2010-05-08/", Style: wire.Member},
		world: w, lag: lag, roles: map[string]*role{}, profiles: map[string]*profile{},
	}
	s.onRoles()
	s.onPolicies()
	s.onProfiles()
	return s
}

// Profile finds an instance profile by name or ARN, if EC2 knows of it by now. The world is locked.
func (s *Service) Profile(ref string) (name, arn string, ok bool) {
	for _, p := range s.profiles {
		if (p.InstanceProfileName == ref || p.Arn == ref) && !s.world.Now().Before(p.CreateDate.Add(s.lag)) {
			return p.InstanceProfileName, p.Arn, true
		}
	}
	return "", "", false
}

// RoleOf is the role in an instance profile; empty for none. The world is locked.
func (s *Service) RoleOf(profile string) string {
	if p, ok := s.profiles[profile]; ok {
		return p.role
	}
	return ""
}

// RoleID finds a role's id by its ARN. The world is locked.
func (s *Service) RoleID(arn string) (string, bool) {
	for _, r := range s.roles {
		if r.Arn == arn {
			return r.RoleId, true
		}
	}
	return "", false
}

// Policies are a role's inline policies by name, for tests to look at.
func (s *Service) Policies(role string) map[string]string {
	s.world.Lock()
	defer s.world.Unlock()
	out := map[string]string{}
	if r, ok := s.roles[role]; ok {
		for k, v := range r.inline {
			out[k] = v
		}
	}
	return out
}

// Names are the names of all roles and instance profiles, sorted, for tests to see that nothing is left.
func (s *Service) Names() (roles, profiles []string) {
	s.world.Lock()
	defer s.world.Unlock()
	for n := range s.roles {
		roles = append(roles, n)
	}
	for n := range s.profiles {
		profiles = append(profiles, n)
	}
	sort.Strings(roles)
	sort.Strings(profiles)
	return roles, profiles
}

func checkName(kind, name string, most int) error {
	if ok, _ := regexp.MatchString(`^[\w+=,.@-]+$`, name); !ok || len(name) > most {
		return wire.Errorf("ValidationError", "The specified value for %s is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_- and be at most %d long", kind, most)
	}
	return nil
}

func checkTags(tags []tag) error {
	if len(tags) > 50 {
		return wire.Errorf("LimitExceeded", "Cannot exceed quota for TagsPerResource: 50").With(http.StatusConflict)
	}
	for _, t := range tags {
		if t.Key == "" || len(t.Key) > 128 || len(t.Value) > 256 || strings.HasPrefix(t.Key, "aws:") {
			return wire.Errorf("InvalidInput", "Invalid tag '%s'", t.Key)
		}
	}
	return nil
}

// document checks a policy and returns it as IAM gives it back: percent-encoded.
func document(text string) (string, error) {
	var d map[string]any
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return "", wire.Errorf("MalformedPolicyDocument", "This policy contains invalid Json")
	}
	if d["Statement"] == nil {
		return "", wire.Errorf("MalformedPolicyDocument", "Missing required field Statement")
	}
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20"), nil
}

func noEntity(format string, a ...any) error {
	return wire.Errorf("NoSuchEntity", format, a...).With(http.StatusNotFound)
}

func conflict(code, format string, a ...any) error {
	return wire.Errorf(code, format, a...).With(http.StatusConflict)
}

func setTags(have []tag, more []tag) []tag {
	for _, t := range more {
		found := false
		for i := range have {
			if have[i].Key == t.Key {
				have[i].Value, found = t.Value, true
			}
		}
		if !found {
			have = append(have, t)
		}
	}
	return have
}
