package backup

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// Era: a restored database begins a history of its own, and numbers its transactions from the next multiple of Era on. So no two
// histories share a number, and where the numbers jump to a multiple nothing is missing.
const Era = 1_000_000

// History is what can be restored of a role: spans of time of which every transaction can, and the gaps between. Idle time is no gap,
// and neither is that two servers stored the same transactions: only numbers that are in no log are.
type History struct {
	Spans []Span `json:"spans"` // by their first backup
	Gaps  []Gap  `json:"gaps"`  // oldest first; behind the oldest backup only
	// Unknown counts the binary logs that do not tell what they hold. Where such a one may fill a gap, none is named.
	Unknown int `json:"unknown,omitempty"`
}

// Span is a span of time of which every transaction can be restored.
type Span struct {
	From     time.Time `json:"from"` // the moment that its first backup shows
	To       time.Time `json:"to"`   // of its last transaction
	Position string    `json:"position"`
	Backups  []string  `json:"backups"` // ids, oldest first
	// Assumed: logs that do not tell what they hold are taken for what joins it.
	Assumed bool `json:"assumed,omitempty"`
}

// Gap is a run of transactions that no stored binary log holds.
type Gap struct {
	First uint64    `json:"first"` // sequence numbers
	Last  uint64    `json:"last"`
	From  time.Time `json:"from"` // of the last transaction before it
	To    time.Time `json:"to"`   // of the first one behind it
	// Restored: nothing is missing. The database was restored there, and what follows is another history.
	Restored bool `json:"restored,omitempty"`
}

func (g Gap) String() string {
	between := fmt.Sprintf("between %s and %s", g.From.UTC().Format(time.DateTime), g.To.UTC().Format(time.DateTime))
	switch {
	case g.Restored:
		return fmt.Sprintf("%s the database was restored, and what follows is another history", between)
	case g.First == g.Last:
		return fmt.Sprintf("transaction %d, from %s, is in no stored binary log", g.First, between)
	}
	return fmt.Sprintf("transactions %d to %d, from %s, are in no stored binary log", g.First, g.Last, between)
}

// run is a run of transactions that are all stored.
type run struct {
	begin, end  uint64
	first, last time.Time
	position    string
}

// NewHistory puts backups and binary logs together by what their names tell.
func NewHistory(fulls []Manifest, logs []Log) History {
	h := History{Spans: []Span{}, Gaps: []Gap{}}
	runs, unknown := runsOf(logs)
	h.Unknown = len(unknown)
	at := uint64(0) // everything up to here was looked at for gaps
	var from time.Time
	spans := map[uint64]int{} // by the number at its end
	for _, m := range byNumber(fulls) {
		s := Span{From: m.Ended, To: m.Ended, Position: m.Position, Backups: []string{m.ID}}
		end, _ := Sequence(m.Position)
		if at == 0 {
			at, from = end, m.Ended
		}
		for _, r := range runs {
			if r.end <= end {
				continue
			}
			if r.begin > end+1 {
				if !mayFill(unknown, s.To, r.first) {
					break
				}
				s.Assumed = true
			}
			end, s.Position, s.To = r.end, r.position, later(r.last, s.To)
		}
		if i, ok := spans[end]; ok {
			h.Spans[i].Backups = append(h.Spans[i].Backups, m.ID)
			h.Spans[i].To = later(h.Spans[i].To, s.To)
			continue
		}
		spans[end] = len(h.Spans)
		h.Spans = append(h.Spans, s)
	}
	for _, r := range runs {
		if at == 0 || r.end <= at {
			continue
		}
		if r.begin > at+1 && !mayFill(unknown, from, r.first) {
			h.Gaps = append(h.Gaps, Gap{First: at + 1, Last: r.begin - 1, From: from, To: r.first, Restored: r.begin%Era == 0})
		}
		at, from = r.end, r.last
	}
	return h
}

// Highest is the greatest number of a transaction that anything stored holds; 0 if none tells.
func (c Catalog) Highest(ctx context.Context) (uint64, error) {
	fulls, err := c.Fulls(ctx)
	if err != nil {
		return 0, err
	}
	logs, err := c.Logs(ctx, time.Time{})
	if err != nil {
		return 0, err
	}
	var highest uint64
	for _, m := range fulls {
		n, _ := Sequence(m.Position)
		highest = max(highest, n)
	}
	for _, l := range logs {
		highest = max(highest, l.End)
	}
	return highest, nil
}

// Crossed is the gap that a restore of m to a moment, to a transaction's number, or, both zero, as far as it goes would cross; nil for
// none that is known.
func Crossed(m Manifest, logs []Log, until time.Time, number uint64) *Gap {
	gaps := NewHistory([]Manifest{m}, logs).Gaps
	if len(gaps) == 0 {
		return nil
	}
	g := gaps[0] // whatever lies behind it
	switch {
	case number > 0 && number < g.First,
		number == 0 && !until.IsZero() && (!until.After(g.From) || g.Restored && !until.After(g.To)):
		return nil
	}
	return &g
}

// NewestGap is the newest one of which something is missing, nil for none.
func (h History) NewestGap() *Gap {
	for _, g := range slices.Backward(h.Gaps) {
		if !g.Restored {
			return &g
		}
	}
	return nil
}

// byNumber are the backups of which it is known what they hold, by that.
func byNumber(fulls []Manifest) []Manifest {
	known := slices.DeleteFunc(slices.Clone(fulls), func(m Manifest) bool {
		n, err := Sequence(m.Position)
		return err != nil || n == 0
	})
	number := func(m Manifest) uint64 { n, _ := Sequence(m.Position); return n }
	slices.SortStableFunc(known, func(a, b Manifest) int { return cmp.Or(cmp.Compare(number(a), number(b)), cmp.Compare(a.ID, b.ID)) })
	return known
}

// runsOf joins the logs whose transactions follow each other, or overlap, and returns those that do not tell apart.
func runsOf(logs []Log) (runs []run, unknown []Log) {
	numbered := make([]Log, 0, len(logs))
	for _, l := range logs {
		if l.Numbered() {
			numbered = append(numbered, l)
		} else {
			unknown = append(unknown, l)
		}
	}
	slices.SortFunc(numbered, func(a, b Log) int { return cmp.Or(cmp.Compare(a.Begin, b.Begin), cmp.Compare(a.End, b.End)) })
	for _, l := range numbered {
		if n := len(runs); n > 0 && l.Begin <= runs[n-1].end+1 {
			if r := &runs[n-1]; l.End > r.end {
				r.end, r.position, r.last = l.End, l.Position, later(r.last, l.Last)
			}
			continue
		}
		runs = append(runs, run{l.Begin, l.End, l.First, l.Last, l.Position})
	}
	return runs, unknown
}

// mayFill tells whether one of the logs that do not tell is from that time.
func mayFill(unknown []Log, from, to time.Time) bool {
	return slices.ContainsFunc(unknown, func(l Log) bool { return !l.Last.Before(from.Add(-clocksApart)) && !l.First.After(to.Add(clocksApart)) })
}

// clocksApart is more than the clocks of two servers differ by, or replication would have other troubles.
const clocksApart = time.Hour

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
