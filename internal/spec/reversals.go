package spec

import "fmt"

// ScaleInOrders are the values of Role.ScaleIn.
var ScaleInOrders = []string{ScaleInNewest, ScaleInOldest, ScaleInLeastBusy, ScaleInClosestToHour}

const (
	// DefaultReversals of direction per hour: once in and once out again. A role that needs more is not following its
	// load but chasing it.
	DefaultReversals = 2
	// minReversals: shrinking uses one, and growing again must never be refused.
	minReversals = 2
	maxReversals = 60
)

func (r Role) validateReversals(c *checker) {
	switch n := r.ReversalsPerHour; {
	case n < minReversals:
		c.wrong("reversals_per_hour", fmt.Sprintf("with %d a role that has grown could never shrink: shrinking is one change of direction, and growing again, which is never refused, is another", n), fmt.Sprintf("Write %d or more, or leave it out for %d", minReversals, DefaultReversals))
	case n > maxReversals:
		c.wrong("reversals_per_hour", fmt.Sprintf("%d times an hour is more often than servers come up", n), fmt.Sprintf("Write %d or fewer", maxReversals))
	}
}
