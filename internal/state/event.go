package state

import (
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// Event is one line of the farm's history. Every one carries its reason.
type Event struct {
	ID       string    `json:"id"` // sorts by time
	At       time.Time `json:"at"`
	Farm     string    `json:"farm"`
	Role     string    `json:"role,omitempty"`
	Instance string    `json:"instance,omitempty"`
	Kind     string    `json:"kind"`             // "launch", "running", "drain", "terminate", "gone", "failed", "scale-out", "hold", "adopt", "rollout", "sidecar", "dns", ...
	Level    string    `json:"level"`            // "info", "warning", "error"
	Reason   string    `json:"reason"`           // a sentence
	Ledger   string    `json:"ledger,omitempty"` // id of the ledger record behind it
}

// Memory is what the engine remembers of a role from tick to tick. The engine alone reads and writes it.
type Memory struct {
	LastScaleOut time.Time `json:"last_scale_out,omitzero"`
	LastScaleIn  time.Time `json:"last_scale_in,omitzero"`
	Desired      int       `json:"desired"` // last decided number of servers, 0 before the first decision
	// LaunchFailures are consecutive failed launches; RetryAt is when the next is allowed.
	LaunchFailures int       `json:"launch_failures,omitempty"`
	RetryAt        time.Time `json:"retry_at,omitzero"`
	LastFailure    *Failure  `json:"last_failure,omitempty"`
	// FailedGeneration is the generation that LaunchFailures is about; a new one starts afresh.
	FailedGeneration string `json:"failed_generation,omitempty"`
	// FailedAt is when the last launch failed, and FailedInstance what it was.
	FailedAt       time.Time `json:"failed_at,omitzero"`
	FailedInstance string    `json:"failed_instance,omitempty"`
	// Counted are the tokens of failed instances still on record that LaunchFailures already holds.
	Counted []string `json:"counted,omitempty"`
	// Ending are machines told to end whose records are gone already, so that they surprise nobody.
	Ending []string `json:"ending,omitempty"`
	// DiedYoung are the times at which servers were lost soon after they had first served.
	DiedYoung []time.Time `json:"died_young,omitempty"`
	// BurstSince and BurstFrom are when the present burst of scaling out began and from how many servers, for the rate limit.
	BurstSince time.Time `json:"burst_since,omitzero"`
	BurstFrom  int       `json:"burst_from,omitempty"`
	// GrownBy is the policy that last scaled out and what it had measured.
	GrownBy    string  `json:"grown_by,omitempty"`
	GrownValue float64 `json:"grown_value,omitempty"`
	// LowSince is since when every policy has wanted fewer servers, for the stabilisation window.
	LowSince time.Time `json:"low_since,omitzero"`
	// Recommended are recent recommendations, for the stabilisation window: the highest of the window counts.
	Recommended []Recommendation `json:"recommended,omitempty"`
	// Sized tells that a number has been decided before, also if it was 0.
	Sized bool `json:"sized,omitempty"`
	// Direction is which way the number last changed, Out or In; Reversals are when it turned within the last hour.
	Direction string      `json:"direction,omitempty"`
	Reversals []time.Time `json:"reversals,omitempty"`
	// Changes are the recent changes of the number, for rate limits; kept only where a policy has one.
	Changes []Change `json:"changes,omitempty"`
	// Spells are for how long policies have wanted what they do not get before it has lasted.
	Spells []Spell `json:"spells,omitempty"`
	// Boots are how long the latest servers took from their launch to serving, the newest last.
	Boots []spec.Duration `json:"boots,omitempty"`
	// Hold is the last stated reason for doing nothing, so that it is said once and not at every tick.
	Hold string `json:"hold,omitempty"`
	// Manual is the number set by hand that held at the last tick, so that its beginning and its end are said once.
	Manual *Manual `json:"manual,omitempty"`
	// Replaced are the times of recent replacements for bad health, for the healing budget.
	Replaced []time.Time `json:"replaced,omitempty"`
}

// Values of Memory.Direction and Spell.Of.
const (
	Out = "out"
	In  = "in"
)

// Change is by how much the number of servers changed at a time.
type Change struct {
	At time.Time `json:"at"`
	By int       `json:"by"` // below zero: fewer
}

// Spell is a stretch of time in which a policy has wanted the same without a break.
type Spell struct {
	Policy string    `json:"policy"`
	Of     string    `json:"of"` // Out or In
	Since  time.Time `json:"since"`
	Seen   time.Time `json:"seen"` // last
}

// Recommendation is how many servers the policies asked for at a time.
type Recommendation struct {
	At time.Time `json:"at"`
	N  int       `json:"n"`
}
