package route53

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/dns"
)

const (
	// trustFor is how long what was read of the zone, and changed since, is believed. It may be long, as a change that
	// rests on an error is refused; it ends so that a record which somebody deleted by hand comes back.
	trustFor = 10 * time.Minute
	// tries are those of one Publish whose batches are refused because others change the zone.
	tries = 4
)

// Options of a Publisher.
type Options struct {
	HostedZoneID string // with or without "/hostedzone/"
	// Zone, if not "", is what the hosted zone must hold: its own name or one within.
	Zone  string
	Owner string
	Now   func() time.Time // nil: time.Now
}

// Publisher publishes in one hosted zone.
type Publisher struct {
	opts   Options
	client *api.Client
	zone   string // the hosted zone's name; "" before the first look
	sets   *recordSets
	read   time.Time
}

var _ dns.Publisher = (*Publisher)(nil)

// New makes a publisher; nothing is called before Publish. Throttling and Route 53's PriorRequestNotComplete are
// retried as config says, at the service's pace.
func New(config aws.Config, opts Options) *Publisher {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	opts.HostedZoneID = strings.TrimPrefix(opts.HostedZoneID, "/hostedzone/")
	if config.Region == "" {
		config.Region = "us-east-1" // Route 53 is global, and answers there
	}
	return &Publisher{opts: opts, client: api.NewFromConfig(config)}
}

// Publish implements dns.Publisher.
func (p *Publisher) Publish(ctx context.Context, former, want []dns.Record) (changed []dns.Change, err error) {
	if err := p.check(ctx); err != nil {
		return nil, err
	}
	want, outside := p.within(want)
	for try := 1; ; try++ {
		remembered := p.sets != nil && p.opts.Now().Sub(p.read) <= trustFor
		steps, conflicts, err := p.steps(ctx, former, want)
		if err != nil {
			return changed, err
		}
		if len(conflicts) > 0 && remembered { // what was in the way may have gone
			p.sets = nil
			continue
		}
		conflicts = append(conflicts, outside...)
		done, err := p.change(ctx, steps)
		changed = append(changed, done...)
		var refused *types.InvalidChangeBatch
		switch {
		case err == nil:
			return changed, errors.Join(conflicts...)
		case !errors.As(err, &refused) || try == tries:
			p.sets = nil
			return changed, fmt.Errorf("changing hosted zone %s (%s): %w", p.opts.HostedZoneID, p.zone, explained(err))
		}
		p.sets = nil // somebody was faster: look again
	}
}

// check finds the hosted zone's name, and whether it is one for the farm.
func (p *Publisher) check(ctx context.Context) error {
	if p.zone != "" {
		return nil
	}
	out, err := p.client.GetHostedZone(ctx, &api.GetHostedZoneInput{Id: &p.opts.HostedZoneID})
	if err != nil {
		return fmt.Errorf("looking up hosted zone %s: %w", p.opts.HostedZoneID, explained(err))
	}
	zone := plain(aws.ToString(out.HostedZone.Name))
	if p.opts.Zone != "" && !dns.Within(p.opts.Zone, zone) {
		return fmt.Errorf("hosted zone %s is %s, which %s is no part of: set the farm's zone to %s or to a name within it, or name the hosted zone of %s",
			p.opts.HostedZoneID, zone, p.opts.Zone, zone, p.opts.Zone)
	}
	p.zone = zone
	return nil
}

// within leaves out what this hosted zone cannot hold: one such name would have its whole batch refused.
func (p *Publisher) within(want []dns.Record) (in []dns.Record, outside []error) {
	for _, r := range want {
		if dns.Within(r.Name, p.zone) {
			in = append(in, r)
			continue
		}
		outside = append(outside, &dns.ConflictError{Name: r.Name, Holder: fmt.Sprintf("another zone than %s, which is hosted zone %s", p.zone, p.opts.HostedZoneID)})
	}
	return in, outside
}

// steps compares what is wanted with the zone, which is read if it is not known. A record of ours that neither former
// nor want know is withdrawn too: the zone tells whose it is.
func (p *Publisher) steps(ctx context.Context, former, want []dns.Record) ([]step, []error, error) {
	if p.sets == nil || p.opts.Now().Sub(p.read) > trustFor {
		sets, err := p.list(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("reading hosted zone %s (%s): %w", p.opts.HostedZoneID, p.zone, explained(err))
		}
		p.sets, p.read = sets, p.opts.Now()
	}
	for name, owner := range p.sets.owners() {
		if owner == p.opts.Owner {
			former = append(former[:len(former):len(former)], dns.Record{Name: name})
		}
	}
	plan, conflicts := dns.Steps(p.opts.Owner, former, cut(want), p.sets.held)
	var steps []step
	for _, s := range plan {
		steps = append(steps, p.sets.step(s, p.opts.Owner))
	}
	return steps, conflicts, nil
}

// mostValues is Route 53's limit of records in one set. More servers than that share the name's load all the same.
const mostValues = 400

func cut(want []dns.Record) []dns.Record {
	var all []dns.Record
	for _, r := range want {
		if len(r.Addresses) > mostValues {
			r.Addresses = r.Addresses[:mostValues]
		}
		all = append(all, r)
	}
	return all
}

// explained makes Route 53's own messages the error, and says what to do where a person can.
func explained(err error) error {
	var refused *types.InvalidChangeBatch
	if errors.As(err, &refused) && len(refused.Messages) > 0 {
		return fmt.Errorf("%w: %s", err, strings.Join(refused.Messages, "; "))
	}
	var none *types.NoSuchHostedZone
	if errors.As(err, &none) {
		return fmt.Errorf("%w. Is it the id of a hosted zone of this account, as the console and aws_route53_zone.zone_id show it?", err)
	}
	var denied interface{ ErrorCode() string }
	if errors.As(err, &denied) && (denied.ErrorCode() == "AccessDenied" || denied.ErrorCode() == "AccessDeniedException") {
		return fmt.Errorf("%w. The sidecar needs route53:GetHostedZone, route53:ListResourceRecordSets and route53:ChangeResourceRecordSets on this zone; see farmhand iam-policy", err)
	}
	return err
}
