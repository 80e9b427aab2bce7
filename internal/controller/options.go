package controller

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/backup/targets"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/behaviors"
	"github.com/farmhand/terraform-provider-farmhand/internal/dns"
	"github.com/farmhand/terraform-provider-farmhand/internal/dns/publishers"
	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/metric/source"
	"github.com/farmhand/terraform-provider-farmhand/internal/metric/source/aws"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform/platforms"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// Options are what a controller works with. Store, Blobs and Holder are needed; the rest has defaults.
type Options struct {
	Store store.Store
	Blobs store.Blobs // served to agents by the gateway
	// Holder is the name under which leases are taken: the sidecar's id. Two processes that run at the same time
	// have different ones; a restarted sidecar has its former one and so need not wait for its own lease to end.
	Holder string
	// AgentBinary is the static Linux executable that runs as the agent in containers.
	AgentBinary string
	Now         func() time.Time // nil: time.Now
	Log         *slog.Logger     // nil: silent
	// OpenPlatform makes a farm's platform; s guards every write with the farm's lease. nil: platforms.Open.
	OpenPlatform func(ctx context.Context, farm spec.Farm, s store.Store) (platform.Platform, error)
	// Behavior looks a behavior up by name. nil: behaviors.Get.
	Behavior func(name string) (behavior.Behavior, bool)
	// Decide is the engine. nil: engine.Decide.
	Decide func(engine.View) engine.Outcome
	// OpenBackups opens the place of backups at an address, see spec.Backup.To. nil: targets.Targets.
	OpenBackups func(ctx context.Context, to string) (backup.Target, error)
	// Cloud answers for metrics that AWS keeps. nil: AWS' own clients.
	Cloud source.Cloud
	// OpenPublisher makes what publishes names outside of the farm's nameserver. nil: publishers.Open.
	OpenPublisher func(ctx context.Context, t publishers.Target, d publishers.Deps) (dns.Publisher, error)
	// LeaseTTL is how long a lease lasts unrenewed, and so how long a farm is alone when its sidecar's machine dies.
	// Zero: 10 s, long against a pause of this process and short against a farm's patience.
	LeaseTTL time.Duration
}

func (o Options) complete() (Options, error) {
	if o.Store == nil || o.Holder == "" {
		return o, errors.New("controller: Store and Holder are needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.OpenPlatform == nil {
		agent, log, now := o.AgentBinary, o.Log, o.Now
		o.OpenPlatform = func(_ context.Context, farm spec.Farm, s store.Store) (platform.Platform, error) {
			return platforms.Open(farm, platforms.Deps{Store: s, AgentBinary: agent, Log: log, Now: now})
		}
	}
	if o.Behavior == nil {
		o.Behavior = behaviors.Get
	}
	if o.Decide == nil {
		o.Decide = engine.Decide
	}
	if o.OpenBackups == nil {
		o.OpenBackups = (&targets.Targets{}).Open
	}
	if o.Cloud == nil {
		o.Cloud = &aws.Clients{}
	}
	if o.OpenPublisher == nil {
		o.OpenPublisher = publishers.Open
	}
	if o.LeaseTTL == 0 {
		o.LeaseTTL = 10 * time.Second
	}
	return o, nil
}
