package agent

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/configfile"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

const (
	// rememberedPath is where an agent that opens the store itself keeps what it was told last, for root alone.
	rememberedPath = "var/lib/farmhand/remembered.json"
	// answerTime is how long a store that does not answer is waited for in one reading.
	answerTime = 2 * time.Second
	// awayTime is how long the store must have been away before what was told last counts: a network that comes up late
	// is no such case.
	awayTime = 15 * time.Second
)

// remembered are the kinds of keys of which the last answer may be acted on: what this machine is, what its instance is to
// be, who serves, and the credentials that go with that, which are in the instance's own configuration anyway. Not a
// database's orders: an old one may name a primary of before.
var remembered = []string{"machine", "assignment", "topology", "secret"}

// memory is a Farm that answers out of a file while the store is away, so that an agent that is started meanwhile (the
// machine rebooted) comes up as what it was.
type memory struct {
	Farm
	path string
	log  *slog.Logger

	mu     sync.Mutex
	values map[string]lastTold
	away   time.Time // since when no answer came; zero while they do
	said   bool
}

// lastTold is one answer.
type lastTold struct {
	Value    []byte         `json:"value"`
	Revision store.Revision `json:"revision"`
}

func remember(farm Farm, path string, log *slog.Logger) *memory {
	m := &memory{Farm: farm, path: path, log: log, values: map[string]lastTold{}}
	raw, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(raw, &m.values)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		log.Warn("what this machine was told last cannot be read; it waits for the store", "file", path, "error", err)
		m.values = map[string]lastTold{}
	}
	return m
}

// Get answers as the store does, and out of memory once that has been away for a while.
func (m *memory) Get(ctx context.Context, key string) (store.Entry, error) {
	if !isRemembered(key) {
		return m.Farm.Get(ctx, key)
	}
	asking, cancel := context.WithTimeout(ctx, answerTime)
	e, err := m.Farm.Get(asking, key)
	cancel()
	if ctx.Err() != nil {
		return e, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
		m.away, m.said = time.Time{}, false
		m.keep(key, e, err)
		return e, err
	}
	if m.away.IsZero() {
		m.away = time.Now()
	}
	was, ok := m.values[key]
	if !ok || time.Since(m.away) < awayTime {
		return e, err
	}
	if !m.said {
		m.said = true
		m.log.Warn("the store is away: going on as it was told last", "since", m.away, "error", err)
	}
	return store.Entry{Key: key, Value: was.Value, Revision: was.Revision}, nil
}

// keep takes an answer over, if it is another than the last. What cannot be written is not remembered over a restart.
func (m *memory) keep(key string, e store.Entry, err error) {
	was, had := m.values[key]
	switch {
	case errors.Is(err, store.ErrNotFound) && had:
		delete(m.values, key)
	case err == nil && (!had || was.Revision != e.Revision):
		m.values[key] = lastTold{e.Value, e.Revision}
	default:
		return
	}
	raw, err := json.Marshal(m.values)
	if err == nil {
		err = (configfile.File{Path: m.path, Mode: 0o600}).Write(context.Background(), raw)
	}
	if err != nil {
		m.log.Warn("what this machine was told cannot be written down", "file", m.path, "error", err)
	}
}

func isRemembered(key string) bool {
	_, rest, _ := strings.Cut(key, "/")
	kind, _, _ := strings.Cut(rest, "/")
	for _, r := range remembered {
		if kind == r {
			return true
		}
	}
	return false
}
