package docker

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/behaviors"
)

// The base image spares instances from installing packages while they boot, so it must have all that behaviors need.
func TestBaseImageHasWhatBehaviorsNeed(t *testing.T) {
	list, err := os.ReadFile("../../../images/packages.txt")
	if err != nil {
		t.Fatal(err)
	}
	var has []string
	for line := range strings.Lines(string(list)) {
		line, _, _ = strings.Cut(line, "#")
		has = append(has, strings.Fields(line)...)
	}
	needed := 0
	for _, name := range behaviors.Names() {
		b, _ := behaviors.Get(name)
		for _, p := range b.Traits().Packages {
			needed++
			if !slices.Contains(has, p) {
				t.Errorf("behavior %s needs package %s, which images/packages.txt has not", name, p)
			}
		}
	}
	if needed == 0 {
		t.Error("no behavior needs a package: the test checks nothing")
	}
}
