package spec

// Policy says when a role grows or shrinks. Exactly one of Target, Steps and Schedule is set.
type Policy struct {
	Farm string `json:"farm"`
	Role string `json:"role"` // the role's name
	Name string `json:"name"` // unique in the role

	Metric   *Metric   `json:"metric,omitempty"` // with Target and Steps
	Target   *float64  `json:"target,omitempty"`
	Steps    []Step    `json:"steps,omitempty"`
	Schedule *Schedule `json:"schedule,omitempty"`

	// Cooldown is how long after any change of the role's size this policy does not vote to shrink it,
	// and how long after its own scale-out it does not vote to grow it again unless the metric rose.
	Cooldown Duration `json:"cooldown"`
	// Tolerance is the relative distance from Target that is left alone (0.1 is ten per cent).
	Tolerance float64 `json:"tolerance"`
}

// ID is the policy's id, "farm/role/policy".
func (p Policy) ID() string { return p.Farm + "/" + p.Role + "/" + p.Name }

// Kind is "target", "step" or "schedule".
func (p Policy) Kind() string {
	switch {
	case p.Schedule != nil:
		return "schedule"
	case len(p.Steps) > 0:
		return "step"
	}
	return "target"
}

// Step is a band of the metric and what it adds (or, negative, removes). Bands neither overlap nor leave holes
// between the lowest and the highest of them; below and above that is no vote.
type Step struct {
	From *float64 `json:"from,omitempty"` // inclusive; nil: no lower bound
	To   *float64 `json:"to,omitempty"`   // exclusive; nil: no upper bound
	Add  int      `json:"add"`
}

// Schedule moves the envelope while it is active: from each firing of Cron for Duration, in Zone's wall time.
type Schedule struct {
	Cron     string   `json:"cron"` // five fields
	Zone     string   `json:"zone"` // IANA name
	Duration Duration `json:"duration"`
	Min      *int     `json:"min,omitempty"`
	Max      *int     `json:"max,omitempty"`
}
