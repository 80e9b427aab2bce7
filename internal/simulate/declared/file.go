package declared

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// FromFile reads {"role": {"min": 2, "max": 20}, "policies": [{"metric": {"kind": "load_average"}, "target": 1.4}]}:
// spec.Role and spec.Policy, as the store holds them. What is not known in it is an error.
func FromFile(path string) (simulate.Subject, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return simulate.Subject{}, err
	}
	var f struct {
		Role     spec.Role `json:"role"`
		Policies []struct {
			spec.Policy
			// In place of the policy's own: only these tell zero from silence.
			Cooldown  *spec.Duration `json:"cooldown"`
			Tolerance *float64       `json:"tolerance"`
		} `json:"policies"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		offset := d.InputOffset()
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			offset = syntax.Offset
		}
		line := 1 + bytes.Count(b[:min(int(offset), len(b))], []byte("\n"))
		return simulate.Subject{}, fmt.Errorf("%s: near line %d: %w", path, line, err)
	}
	s := simulate.Subject{Role: f.Role}
	for _, p := range f.Policies {
		p.Policy.Cooldown, p.Policy.Tolerance = orZero(p.Cooldown), orZero(p.Tolerance)
		s.Policies = append(s.Policies, p.Policy)
	}
	s.SetDefaults()
	for i, p := range f.Policies {
		keepZero(&s.Policies[i].Cooldown, p.Cooldown)
		keepZero(&s.Policies[i].Tolerance, p.Tolerance)
	}
	return s, nil
}
