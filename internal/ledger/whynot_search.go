package ledger

import (
	"math"
	"slices"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
)

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
