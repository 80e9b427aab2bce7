package spec

// Policy says when a role grows or shrinks. Exactly one of Target, Steps, Threshold, Queue, Schedule and Forecast is set.
type Policy struct {
	Farm string `json:"farm"`
	Role string `json:"role"` // the role's name
	Name string `json:"name"` // unique in the role

	Metric    *Metric    `json:"metric,omitempty"` // with all but Schedule
	Target    *float64   `json:"target,omitempty"`
	Steps     []Step     `json:"steps,omitempty"`
	Threshold *Threshold `json:"threshold,omitempty"`
	Queue     *Queue     `json:"queue,omitempty"`
	Schedule  *Schedule  `json:"schedule,omitempty"`
	Forecast  *Forecast  `json:"forecast,omitempty"`

	// ScaleOut and ScaleIn bound how fast the policy moves the role in either direction; nil: as the engine does.
	ScaleOut *Pace `json:"scale_out,omitempty"`
	ScaleIn  *Pace `json:"scale_in,omitempty"`

	// Cooldown is how long after any change of the role's size this policy does not vote to shrink it,
	// and how long after its own scale-out it does not vote to grow it again unless the metric rose. Default: DefaultCooldown; of a threshold its breach duration.
	Cooldown Duration `json:"cooldown"`
	// Tolerance is how far below Target the metric may be before fewer servers are wanted (0.1 is ten per cent).
	// See OutLine for the other side.
	Tolerance float64 `json:"tolerance"`
}

// ID is the policy's id, "farm/role/policy".
func (p Policy) ID() string { return p.Farm + "/" + p.Role + "/" + p.Name }

// Kinds of policies.
const (
	KindTarget    = "target"
	KindStep      = "step"
	KindThreshold = "threshold"
	KindQueue     = "queue"
	KindSchedule  = "schedule"
	KindForecast  = "forecast"
)

// Kind is the kind of policy; of one that is none yet, KindTarget.
func (p Policy) Kind() string {
	switch {
	case p.Schedule != nil:
		return KindSchedule
	case p.Forecast != nil:
		return KindForecast
	case p.Queue != nil:
		return KindQueue
	case p.Threshold != nil:
		return KindThreshold
	case len(p.Steps) > 0:
		return KindStep
	}
	return KindTarget
}

// Votes tells whether the policy votes on the number by what it measures now, as all do but those that move the
// envelope.
func (p Policy) Votes() bool { return p.Metric != nil && p.Forecast == nil }

// Step is a band of the metric and what it adds (or, negative, removes). Bands neither overlap nor leave holes
// between the lowest and the highest of them; below and above that is no vote.
type Step struct {
	From *float64 `json:"from,omitempty"` // inclusive; nil: no lower bound
	To   *float64 `json:"to,omitempty"`   // exclusive; nil: no upper bound
	Add  int      `json:"add"`
}
