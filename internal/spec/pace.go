package spec

import "fmt"

// Pace bounds how fast a policy moves its role in one direction. The fields are Kubernetes' for its autoscaler.
type Pace struct {
	// StabilizationWindow is for how long the policy has to have wanted it. nil: of growing 0, of shrinking its
	// cooldown, or nothing more than the breach of a threshold.
	StabilizationWindow *Duration `json:"stabilization_window,omitempty"`
	// AtMost servers are added or removed within Per. 0: of growing four or as many as there are, whichever is more,
	// in 15 s; of shrinking one, and another after the cooldown.
	AtMost int      `json:"at_most,omitempty"`
	Per    Duration `json:"per,omitempty"`
}

// Window is the stabilization window, or fallback where none is said.
func (p *Pace) Window(fallback Duration) Duration {
	if p == nil || p.StabilizationWindow == nil {
		return fallback
	}
	return *p.StabilizationWindow
}

// Limit is the rate limit; ok is false where none is said.
func (p *Pace) Limit() (atMost int, per Duration, ok bool) {
	if p == nil || p.AtMost == 0 {
		return 0, 0, false
	}
	return p.AtMost, p.Per, true
}

func (p *Pace) validate(c *checker, at string) {
	if p == nil {
		return
	}
	if p.StabilizationWindow == nil && p.AtMost == 0 && p.Per == 0 {
		c.wrong(at, "says nothing", "Set stabilization_window, or at_most and per, or leave it out")
		return
	}
	if p.StabilizationWindow != nil {
		c.wait(at+".stabilization_window", *p.StabilizationWindow)
	}
	switch {
	case p.AtMost < 0:
		c.wrong(at+".at_most", fmt.Sprintf("%d servers cannot be counted", p.AtMost), "The least is 1")
	case p.AtMost > MaxServers:
		c.wrong(at+".at_most", fmt.Sprintf("%d servers are more than the %d that a role may have", p.AtMost, MaxServers), "Write a smaller number")
	case p.AtMost > 0 && p.Per == 0:
		c.wrong(at+".per", fmt.Sprintf("at most %d servers in which time?", p.AtMost), `Write it as in per = "1m"`)
	case p.AtMost == 0 && p.Per > 0:
		c.wrong(at+".at_most", fmt.Sprintf("how many servers per %s?", p.Per), "Write at_most = 1 for one")
	}
	c.wait(at+".per", p.Per)
}
