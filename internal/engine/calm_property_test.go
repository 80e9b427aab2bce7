package engine_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// calmRole is a role whose servers are there as soon as they are wanted and gone as soon as they are not: nothing but
// the engine's own calm stands between its policies and its number.
type calmRole struct {
	view engine.View
	born map[int]time.Time
}

func newCalmRole(r spec.Role, policies []engine.Policy) *calmRole {
	return &calmRole{view: engine.View{Now: start, MachinesListed: true, Roles: []engine.Role{{Spec: r, Generation: "g1", Policies: policies}}}, born: map[int]time.Time{}}
}

// tick decides once, and gives the role what was decided.
func (c *calmRole) tick() engine.Account {
	role := &c.view.Roles[0]
	out := engine.Decide(c.view)
	a := out.Accounts["web"]
	role.Memory = out.Memory["web"]
	for i := range role.Spec.Max {
		switch _, there := c.born[i+1]; {
		case i < a.Desired && !there:
			c.born[i+1] = c.view.Now
		case i >= a.Desired:
			delete(c.born, i+1)
		}
	}
	role.Instances = role.Instances[:0:0]
	for i := range a.Desired {
		at := c.born[i+1]
		in := engine.Instance{Instance: state.Instance{Role: "web", Index: i + 1, Token: "t", Generation: "g1", Phase: state.Running, Since: at, Created: at, ServedAt: at, PlatformID: "m"}}
		in.Machine = &engine.Machine{ID: "m"}
		role.Instances = append(role.Instances, in)
	}
	return a
}

// pass lets time go by; agents go on reporting.
func (c *calmRole) pass(d time.Duration) {
	c.view.Now = c.view.Now.Add(d)
	c.view.Listening = c.view.Now // nobody is silent
}

// policiesThatVote are some that measure, and perhaps a forecast; no schedule, which is obeyed at once whatever the budget.
func policiesThatVote(t *rapid.T, r spec.Role) []engine.Policy {
	var voting []engine.Policy
	for _, p := range anyPolicies(t, r) {
		if p.History != nil { // foresees more at other times of the day: no constant demand, that
			p.History, p.Foresight = nil, anyForesight(t)
		}
		if p.Spec.Schedule == nil {
			voting = append(voting, p)
		}
	}
	return voting
}

// TestReversalsStayInBudget: over hours of measurements that jump about as they like, are lost and come back, with any
// policies, the number never turns more often within an hour than the role may; and no policy that wants more is ever
// refused on account of it.
func TestReversalsStayInBudget(t *testing.T) {
	checkMany(t, 20, func(t *rapid.T) {
		r := spec.Role{Farm: "shop", Name: "web", Min: rapid.IntRange(0, 2).Draw(t, "min"), ReversalsPerHour: rapid.IntRange(2, 5).Draw(t, "budget")}
		r.Max = r.Min + rapid.IntRange(1, 8).Draw(t, "more")
		r.SetDefaults()
		c := newCalmRole(r, policiesThatVote(t, r))
		policies := c.view.Roles[0].Policies
		for i := range policies { // hasty ones: they have the most to gain from a budget
			policies[i].Spec.Cooldown = spec.Duration(rapid.IntRange(0, 60).Draw(t, "cooldown")) * spec.Duration(time.Second)
		}
		var turned []time.Time
		last, direction := -1, 0
		for range rapid.IntRange(20, 150).Draw(t, "ticks") {
			high := rapid.Bool().Draw(t, "high")
			for i := range policies {
				p := &policies[i]
				switch {
				case p.Spec.Forecast != nil:
					p.Foresight = anyForesight(t)
				case rapid.IntRange(0, 19).Draw(t, "lost") == 0:
					p.Measure = engine.Measure{Problem: "nothing is known"}
				default:
					v := rapid.Float64Range(0, 0.3).Draw(t, "low value")
					if high {
						v = rapid.Float64Range(0.9, 30).Draw(t, "high value")
					}
					p.Measure = measured(len(c.view.Roles[0].Instances), v)
				}
			}
			a := c.tick()
			if a.Desired < r.Min || a.Desired > r.Max {
				t.Fatalf("%d is outside of %d to %d", a.Desired, r.Min, r.Max)
			}
			if last >= 0 && a.Desired != last {
				d := 1
				if a.Desired < last {
					d = -1
				}
				if direction == -d {
					turned = append(turned, c.view.Now)
				}
				direction = d
			}
			last = a.Desired
			within := 0
			for _, at := range turned {
				if c.view.Now.Sub(at) < time.Hour {
					within++
				}
			}
			if within > r.ReversalsPerHour {
				t.Fatalf("turned %d times within an hour, of %d:\n%s", within, r.ReversalsPerHour, accountWords(a))
			}
			for _, clamp := range a.Clamps {
				for _, v := range a.Votes {
					if strings.Contains(clamp, "kept for growing") && !v.Abstain && v.Want > a.Desired {
						t.Fatalf("policy %s wants more and is refused: %s", v.Policy, clamp)
					}
				}
			}
			c.pass(time.Duration(rapid.IntRange(1, 200).Draw(t, "seconds")) * time.Second)
		}
	})
}

// TestConstantDemandIsCalm: under a demand that does not change, whatever kinds of policies a plan accepts, the number
// moves in one direction only and comes to rest; with targets and queues after two changes at most.
func TestConstantDemandIsCalm(t *testing.T) {
	checkMany(t, 20, func(t *rapid.T) {
		r := spec.Role{Farm: "shop", Name: "web", Behavior: "apache", Min: rapid.IntRange(1, 3).Draw(t, "min")}
		r.Max = r.Min + rapid.IntRange(1, 9).Draw(t, "more")
		r.SetDefaults()
		policies := policiesThatVote(t, r)
		declared := make([]spec.Policy, len(policies))
		exact := true
		for i := range policies {
			p := &policies[i].Spec
			p.Cooldown = spec.Duration(rapid.IntRange(0, 30).Draw(t, "cooldown")) * spec.Duration(time.Second)
			declared[i] = *p
			exact = exact && (p.Kind() == spec.KindTarget || p.Kind() == spec.KindQueue) && p.ScaleOut == nil && p.ScaleIn == nil
		}
		for _, problem := range spec.ValidatePolicies(r, declared) {
			if !problem.Warning {
				return // a plan refuses it
			}
		}
		if len(policies) == 0 {
			return
		}
		demand := rapid.Float64Range(0, 20).Draw(t, "demand")
		c := newCalmRole(r, policies)
		if rapid.Bool().Draw(t, "was larger") {
			c.view.Roles[0].Memory = state.Memory{Desired: rapid.IntRange(r.Min, r.Max).Draw(t, "desired"), Sized: true}
			exact = false // it shrinks one by one
		}
		last, changes, directions, quietSince := -1, 0, map[bool]bool{}, c.view.Now
		for range 250 {
			n := len(c.view.Roles[0].Instances)
			for i := range policies {
				if policies[i].Spec.Queue != nil {
					policies[i].Measure = measured(n, demand)
				} else if n > 0 {
					policies[i].Measure = measured(n, demand/float64(n))
				} else {
					policies[i].Measure = engine.Measure{Problem: "no server is running"}
				}
			}
			a := c.tick()
			if last >= 0 && a.Desired != last {
				changes++
				directions[a.Desired > last] = true
				quietSince = c.view.Now
			}
			last = a.Desired
			c.pass(10 * time.Second)
		}
		if len(directions) > 1 {
			t.Fatalf("a demand of %v that does not change moved it both ways, to %d", demand, last)
		}
		if c.view.Now.Sub(quietSince) < 10*time.Minute && !slowPaces(policies) {
			t.Fatalf("after %s a demand of %v still moves it, to %d", c.view.Now.Sub(start), demand, last)
		}
		if exact && changes > 2 {
			t.Fatalf("a demand of %v took %d changes to %d", demand, changes, last)
		}
	})
}

// slowPaces tells that somebody declared to take longer than the test does.
func slowPaces(policies []engine.Policy) bool {
	for _, p := range policies {
		if p.Spec.ScaleOut != nil || p.Spec.ScaleIn != nil || p.Spec.Threshold != nil {
			return true
		}
	}
	return false
}
