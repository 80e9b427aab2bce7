package engine_test

import (
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// TestReplicasAreMeasured: what is measured is borne by the replicas, and the primary comes on top of what it calls for.
func TestReplicasAreMeasured(t *testing.T) {
	r := spec.Role{Farm: "shop", Name: "mysql", Min: 1, Max: 9}
	r.SetDefaults()
	target := 1.0
	p := spec.Policy{Name: "load", Metric: &spec.Metric{Kind: spec.LoadAverage}, Target: &target}
	p.SetDefaults()
	role := engine.Role{Spec: r, Generation: "g1", Stateful: true, Replicated: true, Memory: state.Memory{Desired: 3, Sized: true},
		Policies: []engine.Policy{{Spec: p, Measure: measured(2, 2)}}} // two replicas at 2 each: four replicas, five servers
	for i := 1; i <= 3; i++ {
		role.Instances = append(role.Instances, largeInstance(r, i, 1))
	}
	role.Database = &state.Database{Term: 1, Primary: "mysql-1", PrimaryToken: role.Instances[0].Token}
	out := engine.Decide(engine.View{Now: start, Farm: spec.Farm{Name: "shop"}, MachinesListed: true, Roles: []engine.Role{role}})
	if got := out.Accounts["mysql"].Desired; got != 5 {
		t.Fatalf("%d servers are wanted, not 5: %s", got, out.Accounts["mysql"].Reason)
	}
}
