package controller

import "sync"

// refusals are calls that the platform refused for good, until a run ends. Safe for concurrent use.
type refusals struct {
	mu  sync.Mutex
	why map[string]string
}

func (r *refusals) note(name string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.why == nil {
		r.why = map[string]string{}
	}
	r.why[name] = err.Error()
}

// of is why a call was refused, "" if it was not.
func (r *refusals) of(name string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.why[name]
}
