package engine

import (
	"cmp"
	"slices"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// hold is a standing reason for not doing what one would expect. It is worth one event when it begins.
type hold struct {
	key     string // its kind; the reason's numbers may change without its being another one
	level   string
	reason  string
	failure *state.Failure
	quiet   bool // remembered only, so that it is not said again
}

func (p *pass) hold(key, level, reason string, f *state.Failure) {
	for _, h := range p.holds {
		if h.key == key {
			return
		}
	}
	p.holds = append(p.holds, hold{key: key, level: level, reason: reason, failure: f})
}

// held tells whether it held at the former tick.
func (p *pass) held(key string) bool {
	return slices.Contains(strings.Split(p.role.Memory.Hold, holdSeparator), key)
}

const holdSeparator = "; "

// tell makes events of the holds that are new, and remembers those that are.
func (p *pass) tell() {
	slices.SortFunc(p.holds, func(a, b hold) int { return cmp.Compare(a.key, b.key) })
	keys := make([]string, len(p.holds))
	for i, h := range p.holds {
		keys[i] = h.key
		if h.quiet {
			continue
		}
		p.account.Clamps = append(p.account.Clamps, h.reason)
		if !p.held(h.key) {
			p.decide(Decision{Action: Note, Kind: "hold", Level: h.level, Reason: h.reason, Failure: h.failure})
		}
	}
	p.memory.Hold = strings.Join(keys, holdSeparator)
}
