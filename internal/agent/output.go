package agent

import (
	"io"
	"sync"
)

// oneAtATime lets many programs print to one writer.
type oneAtATime struct {
	mu sync.Mutex
	w  io.Writer
}

// Write never fails: a reader of the agent's output that went away must not end the programs that print.
func (o *oneAtATime) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, _ = o.w.Write(b)
	return len(b), nil
}
