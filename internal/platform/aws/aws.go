package aws

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// Options says what one farm's AWS platform works with.
type Options struct {
	Farm  spec.Farm   // Farm.AWS must be set
	Store store.Store // where it is written down which machine is which instance, and what is under way
	// Config gives the SDK's configuration; its region is Farm.AWS.Region. Called once, at first use.
	Config func(ctx context.Context) (awssdk.Config, error)
	Log    *slog.Logger     // nil: slog.Default
	Now    func() time.Time // nil: time.Now
}

// AWS is the platform of one farm. Safe for concurrent use.
type AWS struct {
	farm   spec.Farm
	store  store.Store
	config func(ctx context.Context) (awssdk.Config, error)
	log    *slog.Logger
	now    func() time.Time

	launches keyedMutex           // by role: two launches of a role follow each other
	disks    keyedMutex           // by instance: two calls about a volume follow each other
	shots    keyedMutex           // by name: two calls about a snapshot follow each other
	showing  sync.Mutex           // one asks for snapshots at a time
	keeping  sync.Mutex           // one Keep at a time
	growing  sync.Mutex           // one Grow at a time, and guards the next two
	grownAt  time.Time            // volumes were last compared with what is declared
	modified map[string]time.Time // by volume: when it was last modified here
	dealing  sync.Mutex           // one Balance at a time, and guards dealt
	since    time.Time            // when this value was made
	pools    pools
	ending   ending

	mu       sync.Mutex
	ec2      *ec2.Client // nil until first used
	elb      *elb.Client
	subnets  map[string]subnet    // by id, of those asked for so far
	roots    map[string]string    // name of the root device, by AMI
	named    map[string]string    // id of a launch template, by name
	fresh    map[string]host      // launched here, not listed yet
	last     *sight               // the last look
	started  map[string]time.Time // of machines out of the stock: when EC2 was told to start them
	notices  noticeCache
	health   map[string]healthCache // by target group
	groups   map[string]string      // target type, by target group
	tidied   time.Time              // launch templates were last looked through; of Keep alone, as the next two
	swept    time.Time              // what moves of volumes left over was last looked for
	turn     int                    // of Keep: who comes first when not all get their call
	dealt    map[string]dealing     // what was registered, by target group; nil until first used
	elastic  elasticCache
	shown    shown
	watchers map[chan struct{}]bool
}

var (
	_ platform.Platform = (*AWS)(nil)
	_ platform.Batcher  = (*AWS)(nil)
	_ platform.Balancer = (*AWS)(nil)
	_ platform.Keeper   = (*AWS)(nil)
	_ platform.Grower   = (*AWS)(nil)
)

// New prepares the platform; AWS is first asked by Open or Check.
func New(o Options) (*AWS, error) {
	if o.Farm.AWS == nil {
		return nil, fmt.Errorf("farm %s does not run on EC2: %w", o.Farm.Name, platform.ErrInvalid)
	}
	if o.Store == nil || o.Config == nil {
		return nil, errors.New("the AWS platform needs a store and a configuration")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &AWS{
		farm: o.Farm, store: o.Store, config: o.Config, now: o.Now,
		log:     o.Log.With("farm", o.Farm.Name, "platform", "aws"),
		subnets: map[string]subnet{}, roots: map[string]string{}, named: map[string]string{}, fresh: map[string]host{},
		started: map[string]time.Time{}, modified: map[string]time.Time{}, health: map[string]healthCache{}, groups: map[string]string{},
		watchers: map[chan struct{}]bool{},
	}
	p.pools.now, p.since = o.Now, o.Now()
	p.ending.end = p.terminateTogether
	return p, nil
}

// Open checks that the farm's subnets can be seen: with that, credentials and region are good. An EC2 farm listens
// nowhere, so that the network is empty.
func (p *AWS) Open(ctx context.Context) (platform.Network, error) {
	if _, err := p.subnetsOf(ctx, spec.Role{}); err != nil {
		return platform.Network{}, fmt.Errorf("opening farm %s: %w", p.farm.Name, err)
	}
	return platform.Network{}, nil
}

// Close frees nothing but memory: connections are the SDK's, and are shared.
func (p *AWS) Close() error { return nil }

// clients returns the two clients, made at first use.
func (p *AWS) clients(ctx context.Context) (*ec2.Client, *elb.Client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ec2 != nil {
		return p.ec2, p.elb, nil
	}
	cfg, err := p.config(ctx)
	if err != nil {
		return nil, nil, explain(err, "reading the AWS configuration")
	}
	if p.farm.AWS.Region != "" {
		cfg.Region = p.farm.AWS.Region
	}
	p.ec2, p.elb = ec2.NewFromConfig(cfg), elb.NewFromConfig(cfg)
	return p.ec2, p.elb, nil
}

func (p *AWS) compute(ctx context.Context) (*ec2.Client, error) {
	c, _, err := p.clients(ctx)
	return c, err
}

// Events gives a hint when a look finds that a machine's state has changed. EC2 calls nobody back without further
// services in the account, so that the looks of the farm's ticks are what there is.
func (p *AWS) Events(ctx context.Context) <-chan struct{} {
	hints := make(chan struct{}, 1)
	p.mu.Lock()
	p.watchers[hints] = true
	p.mu.Unlock()
	context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.watchers, hints)
		close(hints)
	})
	return hints
}

// hint tells the watchers; p.mu is held.
func (p *AWS) hint() {
	for w := range p.watchers {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}
