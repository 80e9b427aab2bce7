package ledger

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Actions that can be asked about.
const (
	ScaleOut = "scale-out"
	ScaleIn  = "scale-in"
	Launch   = "launch"
	Replace  = "replace"
)

// Actions are all of them.
var Actions = []string{ScaleOut, ScaleIn, Launch, Replace}

// WhyNot is what stood against an action, and what would have had to be otherwise.
type WhyNot struct {
	Action string `json:"action"`
	// Done: it was not left undone at all, and Reason says why it was done.
	Done   bool   `json:"done"`
	Reason string `json:"reason,omitempty"`
	// Against are what spoke against it: votes, clamps, the state of the servers.
	Against []string `json:"against,omitempty"`
	// Final: it is being deleted, and nothing else matters any more.
	Final bool `json:"final,omitempty"`
	// Otherwise are alternatives, each of which would have led to the action; all of an alternative's parts are needed.
	// Every one was tried: the engine was asked on the record's View, changed so.
	Otherwise [][]string `json:"otherwise,omitempty"`
}

// Ask tells why an action was not taken at the record's first tick. decide is the engine.
func (r *Record) Ask(action string, d Reader, decide func(engine.View) engine.Outcome) (WhyNot, error) {
	if !slices.Contains(Actions, action) {
		return WhyNot{}, fmt.Errorf("%q is nothing that can be asked about: ask why not %s", action, strings.Join(Actions, ", "))
	}
	w := WhyNot{Action: action}
	if r.LeftOut != "" || r.Role() == nil {
		return w, fmt.Errorf("the record of %s does not hold what its decision rested on: %s", d.clock(r.Since), r.LeftOut)
	}
	q := &question{Record: r, Reader: d, decide: decide, role: r.Role().Spec.Name, action: action}
	q.was = decide(r.View)
	account := q.was.Accounts[q.role]
	if q.before = r.Role().Memory.Desired; q.before == 0 { // nothing was decided yet
		q.before = account.Desired
	}
	if q.reached(q.was, r.View) {
		w.Done, w.Reason = true, q.doneWhy(account)
		return w, nil
	}
	w.Against = q.against(account)
	if w.Final = r.View.Deleting || r.Role().Deleting; w.Final {
		return w, nil
	}
	w.Otherwise = q.alternatives()
	return w, nil
}

// question is an action that was not taken.
type question struct {
	*Record
	Reader
	decide func(engine.View) engine.Outcome
	role   string
	action string
	before int // desired at the tick before
	was    engine.Outcome
}

// reached tells whether an outcome is the action.
func (q *question) reached(o engine.Outcome, v engine.View) bool {
	switch q.action {
	case ScaleOut:
		return o.Accounts[q.role].Desired > q.before
	case ScaleIn:
		return o.Accounts[q.role].Desired < q.before
	case Launch:
		return slices.ContainsFunc(o.Decisions, func(d engine.Decision) bool { return d.Role == q.role && d.Action == engine.Launch })
	}
	look, _ := engine.LookAt(v, q.role)
	return slices.ContainsFunc(look.Servers, func(s engine.Standing) bool { return s.Chosen })
}

func (q *question) doneWhy(a engine.Account) string {
	var done []string
	switch q.action {
	case ScaleOut, ScaleIn:
		return fmt.Sprintf("%s went from %d to %d: %s", q.name(), q.before, a.Desired, a.Reason)
	case Launch:
		for _, d := range q.was.Decisions {
			if d.Role == q.role && d.Action == engine.Launch {
				done = append(done, Act(d)+": "+d.Reason)
			}
		}
		return strings.Join(done, "; ")
	}
	look, _ := engine.LookAt(q.View, q.role)
	for _, s := range look.Servers {
		if s.Chosen {
			done = append(done, fmt.Sprintf("%s is being replaced: %s", s.Name, s.Why))
		}
	}
	return strings.Join(done, "; ")
}

// against is what spoke against it.
func (q *question) against(a engine.Account) []string {
	if q.View.Deleting || q.Role().Deleting {
		return []string{a.Reason}
	}
	var list []string
	for _, v := range a.Votes {
		says := fmt.Sprintf("policy %s: %s", v.Policy, v.Reason)
		switch {
		case v.Kind == "manual":
			says = v.Reason
		case v.Kind == "schedule":
			continue
		case q.action == ScaleOut && !v.Abstain && v.Want > q.before, q.action == ScaleIn && !v.Abstain && !v.Blocks && v.Want < q.before:
			continue // spoke for it
		}
		if q.action == ScaleOut || q.action == ScaleIn {
			list = append(list, says)
		}
	}
	list = append(list, a.Clamps...)
	look, _ := engine.LookAt(q.View, q.role)
	switch q.action {
	case ScaleIn:
		if q.before <= a.Min {
			list = append(list, fmt.Sprintf("%d is the least that its bounds allow", a.Min))
		}
	case ScaleOut:
		if q.before >= a.Max {
			list = append(list, fmt.Sprintf("%d is the most that its bounds allow", a.Max))
		}
	case Launch:
		if a.Desired <= a.Serving+a.Coming {
			list = append(list, fmt.Sprintf("nobody is missing: %s wanted, %d serving, %d coming up", servers(a.Desired), a.Serving, a.Coming))
		}
	case Replace:
		sick := false
		for _, s := range look.Servers {
			if s.Standing == "sick" {
				sick = true
				list = append(list, fmt.Sprintf("%s is sick, but it is not its turn: %s", s.Name, s.Why))
			}
		}
		if !sick {
			list = append(list, "no server is sick: every agent reports, and no check that counts fails")
		}
	}
	if len(list) == 0 {
		list = append(list, a.Reason)
	}
	return list
}

// change is one thing that might have been otherwise.
type change struct {
	name  string
	words func(v float64) string // of the value that it was given; see search
	apply func(v *engine.View, value float64)
	// search finds the mildest value, between from and the value with which the action was reached.
	search bool
	from   float64
	most   []float64 // candidates, mildest first
	value  float64   // chosen
}

// alternatives tries what might have been otherwise: everything at once first, and then takes away what was not needed.
func (q *question) alternatives() [][]string {
	base := q.changes()
	if q.action != ScaleOut && q.action != ScaleIn {
		without := func(names ...string) []*change {
			return slices.DeleteFunc(slices.Clone(base), func(c *change) bool { return slices.Contains(names, c.name) })
		}
		all := q.one(without("mend")) // by itself, in time
		for _, mended := range q.one(without("wait", "time")) {
			if slices.ContainsFunc(base, func(c *change) bool { return c.name == "mend" }) && !slices.ContainsFunc(all, func(a []string) bool { return slices.Equal(a, mended) }) {
				all = append(all, mended)
			}
		}
		return all
	}
	var metrics []*change
	for i := range q.Role().Policies {
		if c := q.measurement(i); c != nil {
			metrics = append(metrics, c)
		}
	}
	if q.action == ScaleIn || len(metrics) == 0 { // fewer only if all agree
		return q.one(append(base, metrics...))
	}
	var all [][]string // more if any says so
	for _, m := range metrics {
		for _, alternative := range q.one(append(slices.Clone(base), m)) {
			if !slices.ContainsFunc(all, func(a []string) bool { return slices.Equal(a, alternative) }) {
				all = append(all, alternative)
			}
		}
	}
	return all
}

// one is a set of changes all of which are needed, or none if even all together do not lead to the action.
func (q *question) one(changes []*change) [][]string {
	if !q.extreme(changes) {
		return nil
	}
	needed := changes
	for _, c := range changes { // the drastic ones come first, and are so the first to be done without
		without := slices.DeleteFunc(slices.Clone(needed), func(o *change) bool { return o == c })
		if q.extreme(without) {
			needed = without
		}
	}
	if len(needed) == 0 {
		return nil // it would come by itself; the record is of a moment at which it did
	}
	q.extreme(needed)
	for _, c := range needed {
		if c.search {
			q.refine(needed, c)
		}
	}
	var words []string
	for _, c := range needed {
		words = append(words, c.words(c.value))
	}
	return [][]string{words}
}

// extreme gives every change that is searched the mildest of its candidates with which the action is reached, all of
// them the same one in order; false if there is none.
func (q *question) extreme(changes []*change) bool {
	most := 1
	for _, c := range changes {
		most = max(most, len(c.most))
	}
	for i := range most {
		for _, c := range changes {
			if len(c.most) > 0 {
				c.value = c.most[min(i, len(c.most)-1)]
			}
		}
		if q.tried(changes) {
			return true
		}
	}
	return false
}

// refine brings one value as near to what it was as the action allows.
func (q *question) refine(changes []*change, c *change) {
	near, far := c.from, c.value
	for range 40 {
		if math.Abs(far-near) <= 1e-3*math.Max(math.Abs(far), 1e-3) {
			break
		}
		c.value = (near + far) / 2
		if q.tried(changes) {
			far = c.value
		} else {
			near = c.value
		}
	}
	c.value = far
}

func (q *question) tried(changes []*change) bool {
	v := copied(q.View)
	for _, c := range changes {
		c.apply(&v, c.value)
	}
	return q.reached(q.decide(v), v)
}

// copied is a View whose role may be changed.
func copied(v engine.View) engine.View {
	v.Roles = slices.Clone(v.Roles)
	r := &v.Roles[0]
	r.Policies, r.Instances = slices.Clone(r.Policies), slices.Clone(r.Instances)
	for i := range r.Instances {
		if m := r.Instances[i].Machine; m != nil {
			machine := *m
			r.Instances[i].Machine = &machine
		}
		if p := r.Instances[i].Report; p != nil {
			report := *p
			r.Instances[i].Report = &report
		}
	}
	return v
}

// changes are all but the measurements, the drastic ones first.
func (q *question) changes() []*change {
	role, a := q.Role(), q.was.Accounts[q.role]
	fixed := func(words string) func(float64) string { return func(float64) string { return words } }
	var list []*change
	if role.Manual.Active(q.View.Now) {
		list = append(list, &change{name: "manual", words: fixed(fmt.Sprintf("no number were set by hand (until %s)", q.clock(role.Manual.Until))),
			apply: func(v *engine.View, _ float64) { v.Roles[0].Manual = nil }})
	}
	switch q.action {
	case ScaleOut:
		list = append(list, &change{name: "max", words: fixed(fmt.Sprintf("its max were %d (it is %d)", max(q.before, a.Max)+1, a.Max)),
			apply: func(v *engine.View, _ float64) { bounds(v, nil, new(max(q.before, a.Max)+1)) }})
	case ScaleIn:
		if q.before > 0 {
			list = append(list, &change{name: "min", words: fixed(fmt.Sprintf("its min were %d (it is %d)", min(q.before, a.Min)-1, a.Min)),
				apply: func(v *engine.View, _ float64) { bounds(v, new(max(0, min(q.before, a.Min)-1)), nil) }})
		}
	case Launch:
		more := max(a.Desired, a.Serving+a.Coming) + 1
		list = append(list, &change{name: "min", words: fixed(fmt.Sprintf("more than %d were wanted", more-1)),
			apply: func(v *engine.View, _ float64) {
				v.Roles[0].Spec.Min = more
				bounds(v, nil, &more)
			}})
	}
	look, _ := engine.LookAt(q.View, q.role)
	if look.Failures > 0 {
		list = append(list, &change{name: "mend", words: fixed("the role were changed and applied, which is tried at once"), apply: forgiven})
		if !look.MayLaunch.IsZero() {
			list = append(list, &change{name: "wait", words: fixed(fmt.Sprintf("the wait until %s were over", q.clock(look.MayLaunch))), apply: forgiven})
		}
	}
	if !q.View.MachinesListed {
		list = append(list, &change{name: "platform", words: fixed("the platform answered what machines it holds"), apply: listed})
	}
	if slices.ContainsFunc(look.Servers, func(s engine.Standing) bool { return s.Standing != "serving" }) && q.action == ScaleIn {
		list = append(list, &change{name: "settled", words: fixed("no server were coming up, leaving or being replaced"), apply: settled})
	}
	if q.action == Replace {
		list = append(list, &change{name: "fewer sick", words: fixed("fewer were sick at once by the same signal"), apply: oneSick},
			&change{name: "sick", words: fixed("a server were sick: silent for longer than its silent_after, or failing a check after its grace"), apply: makeSick})
	}
	list = append(list, &change{name: "time", search: true, most: []float64{10, 60, 300, 900, 3700, 7300},
		words: func(v float64) string {
			return fmt.Sprintf("it went on like this for %s more", engine.Brief(seconds(v)))
		},
		apply: func(v *engine.View, value float64) { older(v, seconds(value), q.action == ScaleIn) }})
	return list
}

func seconds(v float64) time.Duration { return time.Duration(math.Ceil(v)) * time.Second }

// bounds gives the role another min or max, and lets no schedule stand against it.
func bounds(v *engine.View, lowest, highest *int) {
	r := &v.Roles[0]
	if lowest != nil {
		r.Spec.Min = min(r.Spec.Min, *lowest)
	}
	if highest != nil {
		r.Spec.Max = max(r.Spec.Max, *highest)
	}
	for i := range r.Policies {
		if s := r.Policies[i].Spec.Schedule; s != nil {
			s := *s
			if lowest != nil {
				s.Min = nil
			}
			if highest != nil {
				s.Max = nil
			}
			r.Policies[i].Spec.Schedule = &s
		}
	}
}

// older lets time pass for all that waits for it, and for nothing else.
func older(v *engine.View, d time.Duration, low bool) {
	m := &v.Roles[0].Memory
	if low && m.LowSince.IsZero() {
		m.LowSince = v.Now
	}
	manual, spells := m.Manual, m.Spells
	m.Manual, m.Spells = nil, nil
	*m, _ = reflect.TypeAssert[state.Memory](earlier(reflect.ValueOf(*m), d))
	m.Manual = manual
	// What is so then, will have been so all the time.
	for _, p := range v.Roles[0].Policies {
		for _, of := range []string{state.Out, state.In} {
			s := state.Spell{Policy: p.Spec.Name, Of: of, Since: v.Now, Seen: v.Now}
			if i := slices.IndexFunc(spells, func(o state.Spell) bool { return o.Policy == s.Policy && o.Of == of }); i >= 0 {
				s.Since = spells[i].Since
			}
			s.Since = s.Since.Add(-d)
			m.Spells = append(m.Spells, s)
		}
	}
	for i := range v.Roles[0].Instances {
		in := &v.Roles[0].Instances[i]
		if in.Phase == state.Running {
			in.Since, in.Created = in.Since.Add(-d), in.Created.Add(-d)
			if !in.ServedAt.IsZero() {
				in.ServedAt = in.ServedAt.Add(-d)
			}
		}
	}
}

// earlier is a copy of a value in which every time is d earlier, whatever the engine comes to remember.
func earlier(v reflect.Value, d time.Duration) reflect.Value {
	fresh := reflect.New(v.Type()).Elem()
	fresh.Set(v)
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		if t, ok := reflect.TypeAssert[time.Time](v); ok && !t.IsZero() {
			fresh.Set(reflect.ValueOf(t.Add(-d)))
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fresh.Field(i).Set(earlier(v.Field(i), d))
		}
	case v.Kind() == reflect.Slice && !v.IsNil():
		fresh.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			fresh.Index(i).Set(earlier(v.Index(i), d))
		}
	}
	return fresh
}

// forgiven forgets the launches that failed, also those that this record finds failed.
func forgiven(v *engine.View, _ float64) {
	r := &v.Roles[0]
	r.Memory.LaunchFailures, r.Memory.RetryAt, r.Memory.FailedAt = 0, time.Time{}, time.Time{}
	look, _ := engine.LookAt(*v, r.Spec.Name)
	left := func(in engine.Instance) bool {
		i := slices.IndexFunc(look.Servers, func(s engine.Standing) bool { return s.Name == in.Name() })
		return i >= 0 && look.Servers[i].Standing == "leaving" && in.ServedAt.IsZero()
	}
	r.Instances = slices.DeleteFunc(r.Instances, left)
}

// listed makes the platform answer with a machine for everybody.
func listed(v *engine.View, _ float64) {
	v.MachinesListed = true
	for i := range v.Roles[0].Instances {
		if in := &v.Roles[0].Instances[i]; in.Machine == nil {
			in.Machine = &engine.Machine{ID: in.PlatformID}
		}
	}
}

// settled leaves those that run, and makes them well.
func settled(v *engine.View, _ float64) {
	r := &v.Roles[0]
	r.Instances = slices.DeleteFunc(r.Instances, func(in engine.Instance) bool { return in.Phase != state.Running })
	for i := range r.Instances {
		well(v, &r.Instances[i])
	}
}

func well(v *engine.View, in *engine.Instance) {
	in.Report = &state.Report{At: v.Now, Boot: state.Boot{Done: true}}
	if in.Machine != nil {
		in.Machine.Stopped, in.Machine.Ending = false, false
	}
}

// oneSick makes all well but the first that is sick.
func oneSick(v *engine.View, _ float64) {
	look, _ := engine.LookAt(*v, v.Roles[0].Spec.Name)
	kept := ""
	for _, s := range look.Servers {
		if s.Standing == "sick" {
			kept = s.Name
			break
		}
	}
	v.Elsewhere.Silent = 0
	for i := range v.Roles[0].Instances {
		if in := &v.Roles[0].Instances[i]; in.Phase == state.Running && in.Name() != kept {
			well(v, in)
		}
	}
}

// makeSick lets a check of one server fail that had passed.
func makeSick(v *engine.View, _ float64) {
	grace := v.Roles[0].Spec.HealthCheck.Grace.Std()
	for i := range v.Roles[0].Instances {
		if in := &v.Roles[0].Instances[i]; in.Phase == state.Running {
			well(v, in)
			in.Report.Checks = []state.Check{{Name: "any", Since: v.Now, Failures: 1}}
			if early := v.Now.Add(-grace - time.Second); in.ServedAt.After(early) {
				in.ServedAt = early
			}
			return
		}
	}
}

// measurement lets the policy's metric be known of every server, and another.
func (q *question) measurement(i int) *change {
	p := q.Role().Policies[i]
	if p.Spec.Metric == nil {
		return nil
	}
	metric, m := *p.Spec.Metric, p.Measure
	known := m.Problem == "" && m.Servers >= m.Expected && m.Samples > 1
	from := m.Value
	if m.Problem != "" || math.IsNaN(from) || from < 0 {
		from = 0
		if q.action == ScaleIn {
			from = highest(metric)
		}
	}
	c := &change{name: p.Spec.Name, search: true, from: from, most: candidates(from, metric)}
	c.words = func(v float64) string {
		way := "at least"
		shown := math.Ceil(v*100) / 100
		if v < from {
			way, shown = "at most", math.Floor(v*100)/100
		}
		switch {
		case m.Problem != "":
			return fmt.Sprintf("policy %s knew its metric, and %s were %s %s", p.Spec.Name, metric.Words(), way, metric.Amount(shown))
		case !known && v == from:
			return fmt.Sprintf("policy %s measured every server (it measured %d of %d)", p.Spec.Name, m.Servers, m.Expected)
		case !known:
			return fmt.Sprintf("policy %s measured every server, and %s were %s %s (it was %s)", p.Spec.Name, metric.Words(), way, metric.Amount(shown), metric.Amount(from))
		}
		return fmt.Sprintf("%s were %s %s (it was %s)", metric.Words(), way, metric.Amount(shown), metric.Amount(from))
	}
	c.apply = func(v *engine.View, value float64) {
		role := &v.Roles[0]
		n := 0
		for k := range role.Instances {
			if role.Instances[k].Phase == state.Running {
				n++
			}
		}
		measure := &role.Policies[i].Measure
		if !known {
			*measure = engine.Measure{Servers: max(1, n), Expected: max(1, n)}
		}
		measure.Servers = max(measure.Servers, 1)
		measure.Expected = measure.Servers
		measure.Samples = max(measure.Samples, 10)
		measure.Value, measure.Floor, measure.Peak = value, value, value
	}
	return c
}

// highest is about what no metric exceeds.
func highest(m spec.Metric) float64 {
	if m.Kind == spec.CPU || m.Kind == spec.MemoryFree {
		return 1
	}
	return 1e7
}

// candidates are values ever farther from what it was, in both directions by turns, as far as they can be.
func candidates(from float64, m spec.Metric) []float64 {
	list := []float64{from}
	highest := highest(m)
	base := math.Max(from, 1e-3)
	for factor := 1.1; factor < 1e10; factor *= 1.5 {
		if up := base * factor; up <= highest {
			list = append(list, up)
		}
		if down := base / factor; down > 1e-4 && from > 0 {
			list = append(list, down)
		}
	}
	if highest == 1 {
		list = append(list, 1)
	}
	return append(list, 0)
}

// Words tell it to a tired person.
func (w WhyNot) Words(d Reader) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", d.bold("Why not "+w.Action+"?"))
	if w.Done {
		fmt.Fprintf(&b, "  It was done. %s\n", sentence(w.Reason))
		return b.String()
	}
	b.WriteString("  What spoke against it:\n")
	for _, a := range w.Against {
		fmt.Fprintf(&b, "  - %s\n", sentence(capital(a)))
	}
	switch len(w.Otherwise) {
	case 0:
		if w.Final {
			return b.String()
		}
		b.WriteString("  No change of what was measured, of the bounds or of the waits alone would lead to it.\n")
		return b.String()
	case 1:
		b.WriteString("  It would be done if\n")
	default:
		b.WriteString("  It would be done if any of these were so:\n")
	}
	for _, alternative := range w.Otherwise {
		fmt.Fprintf(&b, "  - %s.\n", strings.Join(alternative, ", and "))
	}
	return b.String()
}
