package ledger

import (
	"encoding/json"
	"fmt"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
)

// Replay is what came of running a record through the engine again.
type Replay struct {
	Same bool `json:"same"`
	// Why it could not be run, or in what it differs.
	Why       string            `json:"why,omitempty"`
	Account   engine.Account    `json:"account,omitzero"`
	Decisions []engine.Decision `json:"decisions,omitempty"`
}

// Replay runs what the record's first tick rested on through decide and compares account and decisions.
func (r *Record) Replay(decide func(engine.View) engine.Outcome) Replay {
	if r.LeftOut != "" || r.Role() == nil {
		return Replay{Why: "the record does not hold all that its decision rested on: " + r.LeftOut}
	}
	outcome := decide(r.View)
	name := r.Role().Spec.Name
	p := Replay{Account: outcome.Accounts[name], Decisions: decisionsOf(outcome, name)}
	switch {
	case asJSON(p.Account) != asJSON(r.Began()):
		p.Why = fmt.Sprintf("the account differs: it was %s and is %s", asJSON(r.Began()), asJSON(p.Account))
	case len(p.Decisions) != len(r.Decisions):
		p.Why = fmt.Sprintf("there were %d decisions and are %d", len(r.Decisions), len(p.Decisions))
	default:
		p.Same = true
		for i := range p.Decisions {
			if was, is := asJSON(r.Decisions[i]), asJSON(p.Decisions[i]); was != is {
				p.Same, p.Why = false, fmt.Sprintf("decision %d was %s and is %s", i+1, was, is)
				break
			}
		}
	}
	return p
}

// Words tell it to a person.
func (p Replay) Words() string {
	if p.Same {
		return "Run through the engine again, this record gives the same account and the same decisions."
	}
	if p.Account.Role == "" {
		return "This record cannot be run through the engine again: " + sentence(p.Why)
	}
	return "Run through the engine again, this record does not give the same (another version may have written it): " + sentence(p.Why)
}

func decisionsOf(o engine.Outcome, role string) []engine.Decision {
	var of []engine.Decision
	for _, d := range o.Decisions {
		if d.Role == role {
			of = append(of, d)
		}
	}
	return of
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
