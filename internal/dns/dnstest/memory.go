package dnstest

import (
	"context"
	"errors"
	"maps"
	"sync"

	"github.com/farmhand/terraform-provider-farmhand/internal/dns"
)

// Memory is a zone in memory, for tests of those who publish. Safe for concurrent use.
type Memory struct {
	mu   sync.Mutex
	held map[string]dns.Held
	// Fail, if set, is asked before each publication; its error is the answer.
	fail  func() error
	calls int
}

// Fail sets what each publication is refused with; nil for nothing.
func (m *Memory) Fail(f func() error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = f
}

// Calls is how many publications there were.
func (m *Memory) Calls() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

// Hold puts something at a name.
func (m *Memory) Hold(name string, h dns.Held) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held == nil {
		m.held = map[string]dns.Held{}
	}
	h.Name = name
	m.held[name] = h
}

// Held is everything that stands, by name.
func (m *Memory) Held() map[string]dns.Held {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.held)
}

// Publisher makes one for an owner.
func (m *Memory) Publisher(owner string) dns.Publisher { return memoryPublisher{m, owner} }

type memoryPublisher struct {
	*Memory
	owner string
}

func (p memoryPublisher) Publish(ctx context.Context, former, want []dns.Record) ([]dns.Change, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	if p.fail != nil {
		if err := p.fail(); err != nil {
			return nil, err
		}
	}
	if p.held == nil {
		p.held = map[string]dns.Held{}
	}
	steps, conflicts := dns.Steps(p.owner, former, want, func(name string) dns.Held {
		h := p.held[name]
		h.Name = name
		return h
	})
	var changed []dns.Change
	for _, s := range steps {
		if s.Withdraw {
			delete(p.held, s.Name)
		} else {
			p.held[s.Name] = dns.Held{Owner: p.owner, Owned: true, Record: s.New}
		}
		changed = append(changed, s.Change())
	}
	return changed, errors.Join(conflicts...)
}
