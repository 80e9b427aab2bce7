package engine

import "fmt"

// envelope is what the number stays in: the role's min and max, narrowed by the schedules that are active. Every one
// holds at once; where one's min is above another's max, min wins, since too many servers cost less than too few.
// Nothing leaves the role's own bounds.
func (p *pass) envelope() {
	a, r := &p.account, &p.role.Spec
	a.Min, a.Max = r.Min, max(r.Min, r.Max)
	for _, policy := range p.policies() {
		s := policy.Spec.Schedule
		if s == nil {
			continue
		}
		v := Vote{Policy: policy.Spec.Name, Kind: "schedule", Abstain: true}
		_, until, active := s.Window(p.now)
		if !active {
			v.Reason = "not active"
			if next := s.Next(p.now); !next.IsZero() {
				v.Reason = "not active before " + next.Format("Mon 2 Jan 15:04 MST")
			}
			a.Votes = append(a.Votes, v)
			continue
		}
		v.Reason = "active until " + until.Format("Mon 2 Jan 15:04 MST")
		lowest, highest := s.Bounds()
		if lowest != nil {
			if n := min(*lowest, r.Max); n > a.Min {
				a.Min, p.minBy = n, "schedule "+policy.Spec.Name
			}
		}
		if highest != nil {
			if n := max(*highest, r.Min); n < a.Max {
				a.Max, p.maxBy = n, "schedule "+policy.Spec.Name
			}
		}
		switch {
		case s.Exact != nil:
			v.Reason += fmt.Sprintf(", exactly %d", *s.Exact)
		default:
			if s.Min != nil {
				v.Reason += fmt.Sprintf(", min %d", *s.Min)
			}
			if s.Max != nil {
				v.Reason += fmt.Sprintf(", max %d", *s.Max)
			}
		}
		a.Votes = append(a.Votes, v)
	}
	if a.Min > a.Max {
		a.Clamps = append(a.Clamps, fmt.Sprintf("of the schedules that are active one demands at least %d and one at most %d: the former counts", a.Min, a.Max))
		a.Max = a.Min
	}
}
