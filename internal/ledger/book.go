package ledger

import (
	"cmp"
	"encoding/json"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

const (
	// Kept is how long a record stays after the last tick in it.
	Kept = 30 * 24 * time.Hour
	// writeEvery is how often a record that goes on holding is written again.
	writeEvery = time.Minute
	// longest is for how long like ticks are folded into one record, so that there is one near to every time.
	longest = 30 * time.Minute
	// Of the records that go on, at a tick so many are written, or that share of the roles if it is more; ticks are two
	// seconds apart, and thirty come in the minute.
	leastDue = 10
	dueShare = 20
	// never is for how long a record may go on even where there is no room for another.
	never = 6 * time.Hour
)

// Book folds ticks into records. It is one keeper's, and not to be used concurrently. It does no I/O: Tick says which
// pages are to be written, and Wrote is told that they were.
type Book struct {
	sequence int
	pages    map[string]*Page
	tanks    map[string]*tank
}

// Page is a role's open record.
type Page struct {
	Role   string
	Record Record
	// Revision is that of the record in the store, 0 for one that is not there yet.
	Revision store.Revision

	matter  string // digest of what would make it another record
	acts    string // what the last tick did
	shown   [5]int // the numbers of the account that was last written
	written time.Time
	size    int
	sums    map[string]sum // since the last mark, by policy
}

type sum struct {
	total float64
	n     int
}

// Tick takes in a decision and the View that it was taken on. It returns the pages that are to be written now, before
// anything of it is carried out.
func (b *Book) Tick(view engine.View, outcome engine.Outcome) []*Page {
	if b.pages == nil {
		b.pages, b.tanks = map[string]*Page{}, map[string]*tank{}
	}
	var pages, due []*Page
	reducer := engine.NewReducer(view)
	for i := range view.Roles {
		role := &view.Roles[i]
		name := role.Spec.Name
		account, ok := outcome.Accounts[name]
		if !ok {
			continue
		}
		writable(&account)
		decisions := decisionsOf(outcome, name)
		p := b.pages[name]
		matter, acts := matterOf(account, decisions, outcome.Memory[name].Hold), actsOf(decisions)
		switch {
		case p == nil,
			acts != "" && acts != p.acts,
			account.Desired != p.Record.Account.Desired,
			view.Now.Sub(p.Record.Since) >= never,
			(matter != p.matter || view.Now.Sub(p.Record.Since) >= longestOf(name)) && b.tank(name).allows(view.Now, p.size):
			b.sequence++
			p = &Page{Role: name, matter: matter, Record: Record{
				ID: ID(view.Now, b.sequence), Since: view.Now.UTC(), View: reducer.Role(name), Decisions: decisions}}
			b.pages[name] = p
		}
		p.fold(view.Now, account, role, acts)
		switch {
		case p.Revision == 0, p.shown != shownOf(account):
			pages = append(pages, p)
		case view.Now.Sub(p.written) >= writeEvery:
			due = append(due, p)
		}
	}
	// Those that only go on take turns, the longest unwritten first: a thousand at once would hold the tick up.
	slices.SortFunc(due, func(a, b *Page) int { return cmp.Or(a.written.Compare(b.written), strings.Compare(a.Role, b.Role)) })
	pages = append(pages, due[:min(len(due), max(leastDue, len(view.Roles)/dueShare))]...)
	for _, p := range pages {
		p.mark()
	}
	slices.SortFunc(pages, func(a, b *Page) int { return strings.Compare(a.Role, b.Role) })
	return pages
}

// Wrote tells that a page was written, and how large it came out.
func (b *Book) Wrote(p *Page, revision store.Revision, size int) {
	b.tank(p.Role).take(p.Record.Until, size-p.size)
	p.Revision, p.size, p.written, p.shown = revision, size, p.Record.Until, shownOf(p.Record.Account)
}

// Close makes the role's next tick begin a new record: this one is no more, or its role.
func (b *Book) Close(role string) { delete(b.pages, role) }

// Open is the id of the record that the role's present decisions belong to, empty if there is none.
func (b *Book) Open(role string) string {
	if p := b.pages[role]; p != nil {
		return p.Record.ID
	}
	return ""
}

// longestOf is longest, somewhat less for one role than for another: what began together is not to end together.
func longestOf(role string) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(role))
	return longest - time.Duration(h.Sum32()%600)*time.Second
}

func (b *Book) tank(role string) *tank {
	if b.tanks[role] == nil {
		b.tanks[role] = &tank{}
	}
	return b.tanks[role]
}

// fold takes a tick into the record.
func (p *Page) fold(now time.Time, account engine.Account, role *engine.Role, acts string) {
	r := &p.Record
	if r.Ticks == 1 {
		first := r.Account
		r.First = &first
	}
	r.Until, r.Account, p.acts = now.UTC(), account, acts
	r.Ticks++
	for i := range role.Policies {
		policy, m := &role.Policies[i].Spec, &role.Policies[i].Measure
		if policy.Metric == nil || m.Problem != "" || math.IsNaN(m.Value) || math.IsInf(m.Value, 0) {
			continue
		}
		if p.sums == nil {
			p.sums = map[string]sum{}
		}
		s := p.sums[policy.Name]
		p.sums[policy.Name] = sum{s.total + m.Value, s.n + 1}
		if r.Ranges == nil {
			r.Ranges = map[string]Range{}
		}
		v := rounded(m.Value)
		span, known := r.Ranges[policy.Name]
		if !known {
			span = Range{v, v}
		}
		r.Ranges[policy.Name] = Range{min(span.Low, v), max(span.High, v)}
	}
}

// mark ends a stretch of the trail. The first tick needs none: the View says it all.
func (p *Page) mark() {
	r := &p.Record
	if r.Ticks > 1 && len(p.sums) > 0 {
		m := Mark{After: int(r.Until.Sub(r.Since) / time.Second), Serving: r.Account.Serving, Values: make(map[string]float64, len(p.sums))}
		for name, s := range p.sums {
			m.Values[name] = rounded(s.total / float64(s.n))
		}
		r.Trail = append(r.Trail, m)
	}
	p.sums = nil
}

// rounded has four digits: what a person or a chart can tell apart.
func rounded(v float64) float64 {
	if v == 0 {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	if math.IsInf(scale, 0) || scale == 0 {
		return v
	}
	return math.Round(v*scale) / scale
}

// writable replaces what JSON cannot write; engine.Reduce does the same to the View.
func writable(a *engine.Account) {
	for i := range a.Votes {
		if v := a.Votes[i].Value; math.IsNaN(v) || math.IsInf(v, 0) {
			a.Votes = slices.Clone(a.Votes)
			a.Votes[i].Value = -1
		}
	}
}

func shownOf(a engine.Account) [5]int { return [5]int{a.Serving, a.Coming, a.Min, a.Max, a.Desired} }

// actsOf is what is done: a decision that does something begins a record, unless the tick before did the same.
func actsOf(decisions []engine.Decision) string {
	var b strings.Builder
	for _, d := range decisions {
		if d.Action == engine.Move && d.Kind == "" {
			continue // a step on the way
		}
		b.WriteString(string(d.Action) + " " + d.Kind + " " + d.Instance + " " + d.Machine + "\n")
		if d.Action == engine.Note {
			b.WriteString(d.Reason) // what is said is said once, so the next is another one
		}
	}
	return b.String()
}

// matterOf leaves out of an account what moves at every tick: values, ages, and the words made of them. Of a vote the
// direction counts, not the number, which follows the measurement up and down.
func matterOf(a engine.Account, decisions []engine.Decision, hold string) string {
	type vote struct {
		Policy          string
		Direction       int
		Abstain, Blocks bool
	}
	m := struct {
		Serving, Coming, Min, Max, Desired, Clamps, Decisions int
		Hold                                                  string
		Votes                                                 []vote
	}{a.Serving, a.Coming, a.Min, a.Max, a.Desired, len(a.Clamps), len(decisions), hold, nil}
	for _, v := range a.Votes {
		direction := 0
		switch {
		case v.Abstain:
		case v.Want > a.Desired:
			direction = 1
		case v.Want < a.Desired:
			direction = -1
		}
		m.Votes = append(m.Votes, vote{v.Policy, direction, v.Abstain, v.Blocks})
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // plain data
	}
	return string(b)
}
