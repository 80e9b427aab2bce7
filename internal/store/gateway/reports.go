package gateway

import (
	"sync"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// reports remembers of each instance's last report what the controller wants to know of at once.
type reports struct {
	mu   sync.Mutex
	last map[string]standing
}

type standing struct {
	token   string // of the holder: a new machine in an old place starts afresh
	serving bool
	failed  string
}

// changed takes r as the last report, and tells whether the former said otherwise.
func (p *reports) changed(r state.Report) bool {
	now := standing{r.Token, r.Serving(), r.Boot.Failed}
	p.mu.Lock()
	defer p.mu.Unlock()
	before, known := p.last[r.Instance]
	if p.last == nil {
		p.last = map[string]standing{}
	}
	p.last[r.Instance] = now
	return !known || before != now
}
