package declared

import (
	"bytes"
	"encoding/json"
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
		Role     spec.Role     `json:"role"`
		Policies []spec.Policy `json:"policies"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		line := 1 + bytes.Count(b[:min(int(d.InputOffset()), len(b))], []byte("\n"))
		return simulate.Subject{}, fmt.Errorf("%s: near line %d: %w", path, line, err)
	}
	return simulate.Subject{Role: f.Role, Policies: f.Policies}, nil
}
