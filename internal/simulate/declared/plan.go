package declared

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// FromPlan reads what `terraform show -json` prints of a plan or a state, and finds in it the role (its name, its id
// "farm/role" or its address in the configuration) and its policies. role may be empty if there is but one.
func FromPlan(path, role string) (simulate.Subject, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return simulate.Subject{}, err
	}
	s, err := fromPlan(b, role)
	if err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// shown is what terraform show -json prints, as far as it matters here. See
// https://developer.hashicorp.com/terraform/internals/json-format.
type shown struct {
	FormatVersion string  `json:"format_version"`
	PlannedValues *values `json:"planned_values"`
	Values        *values `json:"values"`
}

type values struct {
	RootModule module `json:"root_module"`
}

type module struct {
	Resources    []resource `json:"resources"`
	ChildModules []module   `json:"child_modules"`
}

type resource struct {
	Address string          `json:"address"`
	Mode    string          `json:"mode"`
	Type    string          `json:"type"`
	Values  json.RawMessage `json:"values"`
}

func (m module) all() []resource {
	all := m.Resources
	for _, c := range m.ChildModules {
		all = append(all, c.all()...)
	}
	return all
}

// roleValues and policyValues are the resources' attributes; see internal/provider. Null is a default. Policies are read
// by name, so that a kind that comes to them later is read without a word here.
type roleValues struct {
	ID            string         `json:"id"`
	Farm          string         `json:"farm"`
	Name          string         `json:"name"`
	Min           int            `json:"min"`
	Max           int            `json:"max"`
	Drain         *spec.Duration `json:"drain"`
	LaunchTimeout *spec.Duration `json:"launch_timeout"`
	ScaleIn       string         `json:"scale_in"`
}

type policyValues struct {
	role   string
	values map[string]any // without nulls
}

func (p *policyValues) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &p.values); err != nil {
		return err
	}
	withoutNulls(p.values)
	p.role, _ = p.values["role"].(string)
	return nil
}

func fromPlan(b []byte, wanted string) (simulate.Subject, error) {
	var s simulate.Subject
	var show shown
	if err := json.Unmarshal(b, &show); err != nil {
		return s, fmt.Errorf("is not what `terraform show -json` prints: %w", err)
	}
	v := show.PlannedValues
	if v == nil {
		v = show.Values
	}
	if v == nil || show.FormatVersion == "" {
		return s, errors.New("holds no plan and no state: write it with `terraform plan -out plan.tfplan` and `terraform show -json plan.tfplan`")
	}
	var names []string
	var roles []roleValues
	var policies []policyValues
	for _, r := range v.RootModule.all() {
		if r.Mode != "managed" {
			continue
		}
		switch r.Type {
		case "farmhand_role":
			var role roleValues
			if err := json.Unmarshal(r.Values, &role); err != nil {
				return s, fmt.Errorf("%s: %w", r.Address, err)
			}
			id := role.Farm + "/" + role.Name
			names = append(names, id)
			if wanted == "" || slices.Contains([]string{role.Name, id, r.Address}, wanted) {
				roles = append(roles, role)
			}
		case "farmhand_scaling_policy":
			var p policyValues
			if err := json.Unmarshal(r.Values, &p); err != nil {
				return s, fmt.Errorf("%s: %w", r.Address, err)
			}
			if p.role == "" {
				return s, fmt.Errorf("%s: its role is known only after apply: give farm and role names that do not depend on other resources", r.Address)
			}
			policies = append(policies, p)
		}
	}
	switch {
	case len(names) == 0:
		return s, errors.New("declares no farmhand_role")
	case len(roles) == 0:
		return s, fmt.Errorf("declares no role %q; there are %s", wanted, strings.Join(names, ", "))
	case len(roles) > 1:
		return s, fmt.Errorf("declares %d roles (%s): say which", len(roles), strings.Join(names, ", "))
	}
	r := roles[0]
	s.Role = spec.Role{Farm: r.Farm, Name: r.Name, Min: r.Min, Max: r.Max, Drain: orZero(r.Drain), LaunchTimeout: orZero(r.LaunchTimeout), ScaleIn: r.ScaleIn}
	var own []policyValues
	for _, p := range policies {
		if p.role == r.Farm+"/"+r.Name {
			policy, err := p.spec()
			if err != nil {
				return s, fmt.Errorf("policy %v of role %s: %w", p.values["name"], p.role, err)
			}
			own = append(own, p)
			s.Policies = append(s.Policies, policy)
		}
	}
	s.SetDefaults()
	keepZero(&s.Role.Drain, r.Drain)
	for i, p := range own {
		if p.values["cooldown"] == "0s" {
			s.Policies[i].Cooldown = 0
		}
		if p.values["tolerance"] == 0.0 {
			s.Policies[i].Tolerance = 0
		}
	}
	return s, nil
}

// keepZero makes field zero again where the declaration says so, and is not merely silent.
func keepZero[T comparable](field, said *T) {
	var zero T
	if said != nil && *said == zero {
		*field = zero
	}
}

// spec is the policy as the store would hold it. The two differ in little: the metric's kind is the name of the block
// that is set, what belongs to a load average stands beside it, and steps are many.
func (p policyValues) spec() (out spec.Policy, err error) {
	v := p.values
	delete(v, "id")
	delete(v, "role")
	v["steps"] = v["step"]
	if m, ok := v["metric"].(map[string]any); ok {
		for name, block := range m {
			if settings, isBlock := block.(map[string]any); isBlock {
				m["kind"] = name
				if name == spec.LoadAverage {
					m["minutes"] = settings["minutes"]
				}
			}
		}
		withoutNulls(m)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(b, &out)
}

// withoutNulls removes what is not set.
func withoutNulls(m map[string]any) {
	for name, v := range m {
		switch v := v.(type) {
		case nil:
			delete(m, name)
		case map[string]any:
			withoutNulls(v)
		case []any:
			for _, e := range v {
				if e, ok := e.(map[string]any); ok {
					withoutNulls(e)
				}
			}
		}
	}
}

func orZero[T any](v *T) T {
	if v == nil {
		var zero T
		return zero
	}
	return *v
}
