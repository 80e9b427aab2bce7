package spec

import "fmt"

// Problem is a fault in a declaration. Attribute is the path as written in HCL ("health_check.http.path").
type Problem struct {
	Attribute string
	Summary   string // the fault, in one line
	Advice    string // the way out
	Warning   bool   // can be applied all the same
}

// Error makes a Problem an error for those who take one.
func (p Problem) Error() string {
	s := p.Summary
	if p.Attribute != "" {
		s = fmt.Sprintf("%s: %s", p.Attribute, s)
	}
	if p.Advice != "" {
		s += ". " + p.Advice
	}
	return s
}
