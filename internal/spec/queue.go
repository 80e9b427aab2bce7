package spec

// Queue keeps as many servers as the work that waits calls for: Backlog to each. With min 0 the role goes down to no
// server when nothing waits, and comes back from there when something does.
type Queue struct {
	Backlog float64 `json:"backlog"` // work that one server is given, in the metric's unit; the metric is the whole role's
	// MinimumLifetime is how long a server lives before it may be removed for want of work: a job is not cut off, and
	// an hour that is paid is used.
	MinimumLifetime Duration `json:"minimum_lifetime"`
}
