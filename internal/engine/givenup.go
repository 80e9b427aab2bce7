package engine

import "github.com/farmhand/terraform-provider-farmhand/internal/state"

// GivenUp tells whether the launches of a generation are used up: whoever waits for it need wait no longer.
func GivenUp(m state.Memory, generation string) bool {
	return m.FailedGeneration == generation && m.LaunchFailures >= launchBudget
}
