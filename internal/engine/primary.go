package engine

import "github.com/farmhand/terraform-provider-farmhand/internal/state"

// Primary is the index of the instance that takes writes, 0 if there is none: of a stateful role the one that is
// recorded as such, else the one of lowest index that serves. Roles without state have none.
func Primary(role Role) int {
	if !role.Stateful {
		return 0
	}
	lowest := 0
	for i := range role.Instances {
		in := &role.Instances[i]
		if in.Primary && (in.Phase == state.Running || in.Phase == state.Draining) {
			return in.Index
		}
		if in.Phase == state.Running && (lowest == 0 || in.Index < lowest) {
			lowest = in.Index
		}
	}
	return lowest
}
