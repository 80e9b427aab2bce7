package ledger

import (
	"fmt"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
)

// Record is how a role's number was arrived at over a stretch of like ticks. Key: state.LedgerKey(farm, role, ID).
type Record struct {
	ID    string    `json:"id"` // sorts by time
	Since time.Time `json:"since"`
	Until time.Time `json:"until"` // the last tick folded in that was written down
	Ticks int       `json:"ticks"`
	// View is what the first tick rested on, reduced to the role; see engine.Reduce. Decide comes to First and
	// Decisions on it.
	View engine.View `json:"view,omitzero"`
	// LeftOut says why View holds less than Decide needs; empty: it does not.
	LeftOut string `json:"left_out,omitempty"`
	// First is the account of the first tick, nil if it is Account; Account that of the last tick written down.
	First     *engine.Account   `json:"first,omitempty"`
	Account   engine.Account    `json:"account"`
	Decisions []engine.Decision `json:"decisions,omitempty"` // of the first tick; those of like ticks do the same again
	// Ranges are between which values each policy's metric was over the whole stretch, and Trail how it went.
	Ranges map[string]Range `json:"ranges,omitempty"`
	Trail  []Mark           `json:"trail,omitempty"`
}

// Range is from the lowest to the highest value measured.
type Range struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Mark is the mean of each policy's metric, by the policy's name, over the ticks since the mark before.
type Mark struct {
	After   int                `json:"after"` // seconds since Since, at the end of those ticks
	Serving int                `json:"serving"`
	Values  map[string]float64 `json:"values"`
}

// Began is the account of the first tick, the one that Decisions belong to.
func (r *Record) Began() engine.Account {
	if r.First != nil {
		return *r.First
	}
	return r.Account
}

// Role is the role's part of the View, nil if the record holds none.
func (r *Record) Role() *engine.Role {
	if len(r.View.Roles) == 0 {
		return nil
	}
	return &r.View.Roles[0]
}

const idTime = "20060102T150405.000000000Z"

// ID makes an id that sorts by time; sequence tells records of the same nanosecond apart.
func ID(at time.Time, sequence int) string {
	return fmt.Sprintf("%s-%06d", at.UTC().Format(idTime), sequence%1_000_000)
}

// TimeOf is the time in an id.
func TimeOf(id string) (time.Time, error) {
	at, _, _ := strings.Cut(id, "-")
	t, err := time.Parse(idTime, at)
	if err != nil {
		return t, fmt.Errorf("%q is no id of a ledger record or an event: one reads %s", id, ID(time.Unix(1_767_225_600, 0), 12))
	}
	return t, nil
}
