package docker

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// Options says what one farm's Docker platform works with.
type Options struct {
	Farm spec.Farm // Farm.Docker must be set
	// AgentBinary is a static Linux executable that runs as `farmhand agent` in every container.
	// Only Open and Launch need it.
	AgentBinary string
	Log         *slog.Logger // nil: slog.Default
}

// Docker is the platform of one farm. Safe for concurrent use.
type Docker struct {
	farm        spec.Farm
	agentBinary string
	log         *slog.Logger

	launches keyedMutex // by token: two launches of one token follow each other
	taking   keyedMutex // by volume or mark: two calls that make the same follow each other
	pausing  keyedMutex // by volume: two that pause its machine follow each other

	abandonedAfter, pauseMost time.Duration // the constants of these names, but in tests

	mu     sync.Mutex
	engine *client.Client      // nil until an engine answered
	net    *platform.Network   // nil until opened
	agents map[string]bool     // tags of agent images known to exist
	copies map[string]*copying // under way here, by the name of their container
}

var _ platform.Platform = (*Docker)(nil)

// New prepares the platform; the engine is first asked by Open or Check.
func New(o Options) (*Docker, error) {
	if o.Farm.Docker == nil {
		return nil, fmt.Errorf("farm %s does not run on docker: %w", o.Farm.Name, platform.ErrInvalid)
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Docker{
		farm:        o.Farm,
		agentBinary: o.AgentBinary,
		log:         o.Log.With("farm", o.Farm.Name, "platform", "docker"),
		agents:      map[string]bool{},
		copies:      map[string]*copying{},

		abandonedAfter: abandonedAfter, pauseMost: pauseMost,
	}, nil
}

// Close frees the connection to the engine. It ends nothing but copies that are not whole: they are given up, and what was paused for them
// goes on.
func (d *Docker) Close() error {
	d.endCopies()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.engine == nil {
		return nil
	}
	err := d.engine.Close()
	d.engine = nil
	return err
}

// client returns a connection to an engine that has answered once. It is kept: it reconnects by itself.
func (d *Docker) client(ctx context.Context) (*client.Client, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.engine != nil {
		return d.engine, nil
	}
	c, err := connect(ctx, d.farm.Docker.Host)
	if err != nil {
		return nil, err
	}
	d.log.Debug("engine found", "host", c.DaemonHost(), "api", c.ClientVersion())
	d.engine = c
	return c, nil
}
