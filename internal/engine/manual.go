package engine

import (
	"fmt"
	"time"
)

// byHand is the kind of the vote that a number set by hand is.
const byHand = "manual"

// setByHand is the number that somebody set for a while. It stands above the policies' votes, which are asked all the
// same so that everybody sees what they would want; it is reached at once, in either direction, and it never leaves
// the envelope. Healing goes on as ever. Its beginning and its end are said once.
func (p *pass) setByHand(base int) (n int, reason string, active bool) {
	was, is := p.memory.Manual, p.role.Manual
	if !is.Active(p.now) {
		p.memory.Manual = nil
		if was != nil {
			ended := "was taken back"
			if !p.now.Before(was.Until) {
				ended = "has run out"
			}
			p.noteManual(fmt.Sprintf("the number %d set by hand for role %s %s: its policies decide again", was.N, p.role.Spec.Name, ended))
		}
		return base, "", false
	}
	a := &p.account
	p.wishes(base)
	p.watchLow(false) // what its policies want begins to count when they decide again
	n = min(max(is.N, a.Min), a.Max)
	reason = fmt.Sprintf("set to %d by hand, by %s, until %s: %s", is.N, orElse(is.By, "somebody"), clock(is.Until), orElse(is.Because, "no reason given"))
	a.Votes = append(a.Votes, Vote{Policy: "by hand", Kind: byHand, Want: is.N, Reason: reason})
	switch {
	case is.N > n:
		a.Clamps = append(a.Clamps, fmt.Sprintf("%s are set by hand, max %d%s allows no more", servers(is.N), a.Max, by(p.maxBy)))
	case is.N < n:
		a.Clamps = append(a.Clamps, fmt.Sprintf("%s are set by hand, min %d%s allows no fewer", servers(is.N), a.Min, by(p.minBy)))
	}
	if n > base {
		p.memory.GrownBy, p.memory.GrownValue = "", 0
	}
	if was == nil || was.N != is.N || !was.At.Equal(is.At) {
		p.noteManual(fmt.Sprintf("role %s is %s", p.role.Spec.Name, reason))
	}
	seen := *is
	p.memory.Manual = &seen
	return n, reason, true
}

func (p *pass) noteManual(reason string) {
	p.decide(Decision{Action: Note, Kind: "manual", Level: info, Reason: reason})
}

func clock(t time.Time) string { return t.UTC().Format("Mon 2 Jan 15:04 MST") }
