package spec

import "fmt"

// ValidateBeside is the part of ValidatePolicies that holds whatever further policies the role has: p within the
// role's envelope, and p against each of the others. It is for who sees the role's policies one after the other, as
// a plan does, and must not complain of one that is still to come. Attributes are p's.
func (p Policy) ValidateBeside(role Role, others []Policy) []Problem {
	var c checker
	p = p.AsLoad()
	if p.Schedule != nil {
		p.validateWithin(&c, role)
	}
	p.calmWithin(&c, role)
	for _, other := range others {
		other = other.AsLoad()
		switch {
		case p.Name == other.Name:
			c.wrong("name", fmt.Sprintf("role %s has two policies of the name %q", role.ID(), p.Name), "Give one of them another name")
		case p.Schedule != nil && other.Schedule != nil:
			schedulesAgree(&c, other, p)
		case p.Votes() && other.Votes() && p.Metric.same(*other.Metric):
			metricsAgree(&c, other, p)
		}
	}
	return c.problems
}
