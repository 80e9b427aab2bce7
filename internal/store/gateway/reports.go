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
	server  server
}

// server is what of a database server's report decides about a change of the primary.
type server struct {
	done                                                int64
	writable, empty, drained, receiving, lost, diverged bool
}

func standingOf(d *state.DatabaseReport) server {
	if d == nil {
		return server{}
	}
	return server{d.Done, d.Writable, d.Empty, d.Drained, d.Receiving, d.Lost, d.Diverged != ""}
}

// changed takes r as the last report, and tells whether the former said otherwise.
func (p *reports) changed(r state.Report) bool {
	now := standing{r.Token, r.Serving(), r.Boot.Failed, standingOf(r.Database)}
	p.mu.Lock()
	defer p.mu.Unlock()
	before, known := p.last[r.Instance]
	if p.last == nil {
		p.last = map[string]standing{}
	}
	p.last[r.Instance] = now
	return !known || before != now
}
