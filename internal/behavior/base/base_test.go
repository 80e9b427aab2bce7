package base

import (
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/behaviortest"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

func TestContract(t *testing.T) {
	behaviortest.Run(t, behaviortest.Case{
		Behavior: Behavior{},
		Role:     spec.Role{Farm: "shop", Name: "worker", Behavior: "base", Min: 1, Max: 3},
	})
}
