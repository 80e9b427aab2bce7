package ledger

import (
	"fmt"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// Point is what a role bore in the minute that ends at At.
type Point struct {
	At     time.Time
	Demand float64 // of the whole role: the metric's mean over its servers, times their number
}

// unknownFor is after how long without a measurement the last one is no longer taken to hold.
const unknownFor = 3 * time.Minute

// History is the demand on a role as a policy measured it, one point for each whole minute from the first record to the
// last; minutes of which nothing is known are left out. Of a metric that is a level of the whole role it is the level.
// policy may be empty if the newest record has one with a metric only.
func History(records []Record, policy string) ([]Point, error) {
	if len(records) == 0 {
		return nil, nil
	}
	p, err := measuring(&records[len(records)-1], policy)
	if err != nil {
		return nil, err
	}
	perRole := p.Spec.Metric.Per == spec.PerRole
	var known []Point
	add := func(at time.Time, value float64, serving int) {
		if !perRole {
			value *= float64(serving)
		}
		known = append(known, Point{at, value})
	}
	for i := range records {
		r := &records[i]
		if began := valueOf(r, p.Spec.Name); began != nil {
			add(r.Since, began.Value, max(r.Began().Serving, began.Servers))
		}
		for _, m := range r.Trail {
			if v, ok := m.Values[p.Spec.Name]; ok {
				add(r.Since.Add(time.Duration(m.After)*time.Second), v, m.Serving)
			}
		}
	}
	return minutes(known), nil
}

// minutes puts points, in order of time, on a grid: the mean of a minute's points, else the last one while it holds.
func minutes(known []Point) []Point {
	var grid []Point
	for i := 0; i < len(known); {
		end := known[i].At.Truncate(time.Minute).Add(time.Minute)
		sum, n := 0.0, 0
		for ; i < len(known) && known[i].At.Before(end); i++ {
			sum, n = sum+known[i].Demand, n+1
		}
		grid = append(grid, Point{end, sum / float64(n)})
		last := known[i-1]
		for at := end.Add(time.Minute); i < len(known) && !known[i].At.Truncate(time.Minute).Before(at) && at.Sub(last.At) <= unknownFor; at = at.Add(time.Minute) {
			grid = append(grid, Point{at, last.Demand})
		}
	}
	return grid
}

func valueOf(r *Record, policy string) *engine.Measure {
	role := r.Role()
	if role == nil {
		return nil
	}
	for i := range role.Policies {
		if p := &role.Policies[i]; p.Spec.Name == policy && p.Spec.Metric != nil && p.Measure.Problem == "" && p.Measure.Servers > 0 {
			return &p.Measure
		}
	}
	return nil
}

// measuring is the policy that is meant.
func measuring(r *Record, name string) (*engine.Policy, error) {
	role := r.Role()
	if role == nil {
		return nil, fmt.Errorf("the newest record of %s does not say what is measured: %s", r.name(), r.LeftOut)
	}
	var names []string
	var found *engine.Policy
	for i := range role.Policies {
		p := &role.Policies[i]
		if p.Spec.Metric == nil {
			continue
		}
		names = append(names, p.Spec.Name)
		if name == "" || p.Spec.Name == name {
			found = p
		}
	}
	switch {
	case len(names) == 0:
		return nil, fmt.Errorf("role %s has no policy that measures anything", r.name())
	case found == nil:
		return nil, fmt.Errorf("role %s has no policy %q that measures something; it has %s", r.name(), name, strings.Join(names, ", "))
	case name == "" && len(names) > 1:
		return nil, fmt.Errorf("several policies of role %s measure something: name one of %s", r.name(), strings.Join(names, ", "))
	}
	return found, nil
}
