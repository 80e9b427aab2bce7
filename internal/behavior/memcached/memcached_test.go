package memcached

import (
	"context"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/behaviortest"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

func TestContract(t *testing.T) {
	behaviortest.Run(t, behaviortest.Case{
		Behavior: Behavior{},
		New: func(in behavior.Instance) behavior.Runner {
			return &runner{Instance: in, ask: func(context.Context) error { return nil }}
		},
		Role: spec.Role{Farm: "shop", Name: "cache", Behavior: "memcached", Min: 1, Max: 3, Settings: map[string]string{"memory_mb": "256"}},
		Invalid: map[string]spec.Role{
			"settings.memory_mb":       {Settings: map[string]string{"memory_mb": "lots"}},
			"settings.max_connections": {Settings: map[string]string{"max_connections": "0"}},
		},
	})
}

func TestServersAreTheServingOnesInOrder(t *testing.T) {
	topology := state.RoleTopology{Instances: []state.Member{{Index: 1, Address: "10.0.0.5"}, {Index: 3, Address: "10.0.0.7"}}}
	got := Behavior{}.Exports(spec.Role{}, "shop.internal", topology, nil)["MEMCACHED_SERVERS"]
	if want := "10.0.0.5:11211,10.0.0.7:11211"; got != want {
		t.Errorf("MEMCACHED_SERVERS is %q, want %q", got, want)
	}
}
