package controller

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// stalledAfter is for how long no tick of a farm may go well: thirty of the usual ones. One waits up to listPatience for its
	// platform and somewhat for its store, and a sidecar that only takes over has to open both.
	stalledAfter = time.Minute
	// stalledTicks is the same for farms that are looked at less often.
	stalledTicks = 3
)

// pulse is when the work of a Controller last went well; its fields are guarded by Controller.mu.
type pulse struct {
	seen   time.Time       // the list of farms was read
	ticked map[string]beat // by farm
}

// beat is when a tick went well, or when keeping the farm was begun, and how long the next one may take.
type beat struct {
	at    time.Time
	limit time.Duration
}

// Healthy is nil as long as the farms whose lease is or should be this sidecar's are ticked; else it says which are not, and
// since when. Safe for concurrent use.
func (c *Controller) Healthy() error {
	now := c.opts.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	var stalled []string
	if c.seen.IsZero() {
		return errors.New("the sidecar has not begun yet")
	}
	if now.Sub(c.seen) > stalledAfter {
		stalled = append(stalled, fmt.Sprintf("the list of farms could not be read for %s", now.Sub(c.seen).Round(time.Second)))
	}
	for _, farm := range slices.Sorted(maps.Keys(c.ticked)) {
		if since := now.Sub(c.ticked[farm].at); since > c.ticked[farm].limit {
			stalled = append(stalled, fmt.Sprintf("no tick of farm %s went well for %s", farm, since.Round(time.Second)))
		}
	}
	if len(stalled) == 0 {
		return nil
	}
	return fmt.Errorf("%s: the log says why", strings.Join(stalled, "; "))
}

func (c *Controller) looked(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = now
}

// begins notes that a farm is kept from now on, if it was not: trying again and again to begin is no sign of health. The caller
// holds mu.
func (c *Controller) begins(farm string, now time.Time) {
	if _, known := c.ticked[farm]; !known {
		c.ticked[farm] = beat{now, stalledAfter}
	}
}

func (c *Controller) beats(farm string, now time.Time, every time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ticked[farm] = beat{now, max(stalledAfter, stalledTicks*every)}
}

// rests notes that the farm is another's to keep, or nobody's.
func (c *Controller) rests(farm string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.ticked, farm)
}
