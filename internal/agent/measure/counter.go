package measure

import "time"

// counter makes a rate of what only counts up.
type counter struct {
	known bool
	value float64
	at    time.Time
	epoch string
}

// rate is per second since the former call. errNotYet for the first, and for the first after the counter was set back:
// its epoch is another (its owner was restarted), or it is lower than it was.
func (c *counter) rate(value float64, at time.Time, epoch string) (float64, error) {
	former := *c
	*c = counter{known: true, value: value, at: at, epoch: epoch}
	elapsed := at.Sub(former.at).Seconds()
	if !former.known || former.epoch != epoch || value < former.value || elapsed <= 0 {
		return 0, errNotYet
	}
	return (value - former.value) / elapsed, nil
}
