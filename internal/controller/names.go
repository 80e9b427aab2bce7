package controller

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/dns"
	"github.com/farmhand/terraform-provider-farmhand/internal/dns/publishers"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

const (
	// publishesAtOnce bounds the places published in at the same time.
	publishesAtOnce = 4
	// publishTime bounds one publication; Route 53 may make a caller wait for its turn.
	publishTime = time.Minute
	// publishAnew is how often a place is looked at though nothing is to change: somebody may have changed it by hand.
	publishAnew = 10 * time.Minute
	// leaveNames is how long a farm that is gone but for its names waits for them to be withdrawn.
	leaveNames = time.Minute
	// changesTold are the changes of one publication that its event names.
	changesTold = 4
)

// namesPrefix holds, by a hash of where, what this farm may have published: whoever goes on after a crash, or when a
// record is no longer declared, knows from it what to withdraw, and where.
func namesPrefix(farm string) string { return farm + "/controller/names/" }

// namesOwnerKey holds the owner that the farm's names are marked with: its name and something random, since two
// stores may each have a farm of that name and share a zone.
func namesOwnerKey(farm string) string { return farm + "/controller/names-owner" }

// published is what stands under namesPrefix.
type published struct {
	Target  publishers.Target `json:"target"`
	Records []dns.Record      `json:"records"`
}

// publishing is what one run knows of the places that names are published in, by the target's ID.
type publishing struct {
	lane lane

	mu     sync.Mutex
	owner  string
	places map[string]*place
}

// place is one of them. Its publisher is used by one job at a time.
type place struct {
	published
	publisher dns.Publisher     // nil: to be opened
	declared  bool              // something is to be published there
	wanted    []dns.Record      // what
	target    publishers.Target // as declared now or, if it is not, last
	done      time.Time         // last published in whole; zero: not in this run
	trouble   string            // what was said last of it; "" while all is well
	leaving   time.Time         // since when it is the last thing that the farm waits for
}

// publishNames has the farm's names published where they are declared to be, in the background: one job per place, which
// is given what holds when it starts. Changes that come while it runs are the next one's; one that failed is tried
// again, ever less often.
func (k *keeper) publishNames(ctx context.Context, s *sight, t state.Topology) error {
	if k.onlyRole != "" {
		return nil
	}
	if k.publishing == nil {
		p, err := k.recallNames(ctx)
		if err != nil {
			return err
		}
		k.publishing = p
	}
	p := k.publishing
	p.mu.Lock()
	defer p.mu.Unlock()
	p.want(s, t)
	for id, at := range p.places {
		if at.due(k.opts.Now()) {
			k.jobs.start(k.jobsCtx, p.lane, "publish in "+id, func(ctx context.Context) error { return k.publishIn(ctx, p, id) })
		}
	}
	return nil
}

// recallNames reads what a former run has published.
func (k *keeper) recallNames(ctx context.Context) (*publishing, error) {
	p := &publishing{lane: make(lane, publishesAtOnce), places: map[string]*place{}}
	known, err := store.ListJSON[published](ctx, k.store, namesPrefix(k.farm))
	if err != nil {
		return nil, fmt.Errorf("reading what names are published: %w", err)
	}
	for _, item := range known {
		p.places[item.Value.Target.ID()] = &place{published: item.Value, target: item.Value.Target}
	}
	return p, nil
}

// want notes what is to stand in each place: nothing where nothing is declared any more. It holds mu.
func (p *publishing) want(s *sight, t state.Topology) {
	for _, at := range p.places {
		at.wanted, at.declared = nil, false
	}
	if s.farm.Deleting {
		return
	}
	add := func(target publishers.Target, records ...dns.Record) {
		at := p.places[target.ID()]
		if at == nil {
			at = &place{}
			p.places[target.ID()] = at
		}
		if at.declared { // by another record before this one: of one place, one of them has what the others lack
			target.Zone = cmp.Or(at.target.Zone, target.Zone)
			target.Record = cmp.Or(at.target.Record, target.Record)
		}
		at.target, at.declared, at.wanted = target, true, append(at.wanted, records...)
	}
	if aws := s.farm.Spec.AWS; aws != nil && aws.HostedZoneID != "" {
		target := publishers.Target{Route53: &spec.Route53{HostedZoneID: aws.HostedZoneID}, Zone: s.farm.Spec.Zone}
		add(target, dns.Plan(t, s.dns).Full()...)
	}
	for _, d := range s.dns {
		if target, elsewhere := publishers.Of(d); elsewhere {
			add(target, dns.Follow(t, d))
		}
	}
}

// due tells whether there is anything to do, or to look at.
func (at *place) due(now time.Time) bool {
	return at.done.IsZero() || now.Sub(at.done) >= publishAnew || at.trouble != "" ||
		!slices.EqualFunc(at.Records, dns.After(nil, at.wanted, nil), dns.Record.Equal) || at.declared && !sameTarget(at.Target, at.target)
}

// sameTarget compares what a publisher is made from; the version of a secret is in it.
func sameTarget(a, b publishers.Target) bool { return asJSON(a) == asJSON(b) }

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain data
	}
	return string(b)
}

// publishIn publishes in one place. Its error is told once, and has the job tried again later.
func (k *keeper) publishIn(ctx context.Context, p *publishing, id string) error {
	if !k.lease.Held() {
		return store.ErrFenced
	}
	ctx, cancel := context.WithTimeoutCause(ctx, publishTime, fmt.Errorf("it took longer than %s", publishTime))
	defer cancel()
	p.mu.Lock()
	at := p.places[id]
	want, former, target := at.wanted, at.Records, at.target
	if at.publisher != nil && !sameTarget(at.Target, target) {
		at.publisher = nil
	}
	p.mu.Unlock()

	changed, err := k.publishAs(ctx, p, at, target, former, want)
	if errors.Is(err, store.ErrFenced) {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	at.published = published{Target: target, Records: dns.After(former, want, err)}
	if err != nil && len(dns.Conflicts(err)) == 0 {
		at.publisher = nil
	}
	if writeErr := k.writePublished(ctx, at.published); writeErr != nil {
		return errors.Join(err, writeErr)
	}
	if len(at.Records) == 0 && !at.declared && err == nil {
		delete(p.places, id)
		if target.Record != "" {
			k.forgetNameSecret(ctx, target.Record)
		}
	}
	k.tellNames(ctx, at, id, changed, err)
	if err == nil {
		at.done = k.opts.Now()
	}
	return err
}

// publishAs opens the publisher if need be, writes down what may stand published from now on, and publishes.
func (k *keeper) publishAs(ctx context.Context, p *publishing, at *place, target publishers.Target, former, want []dns.Record) ([]dns.Change, error) {
	if at.publisher == nil {
		owner, err := k.namesOwner(ctx, p)
		if err != nil {
			return nil, err
		}
		var secret state.DNSSecret
		if target.Record != "" {
			secret, _, err = store.GetJSON[state.DNSSecret](ctx, k.store, state.DNSSecretKey(k.farm, target.Record))
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return nil, fmt.Errorf("reading the secret of record %s: %w", target.Record, err)
			}
		}
		if at.publisher, err = k.opts.OpenPublisher(ctx, target, publishers.Deps{Owner: owner, Secret: secret.Secret, Now: k.opts.Now}); err != nil {
			return nil, err
		}
	}
	before := published{Target: target, Records: dns.Before(former, want)}
	if asJSON(before) != asJSON(published{Target: target, Records: former}) {
		if err := k.writePublished(ctx, before); err != nil {
			return nil, err
		}
	}
	return at.publisher.Publish(ctx, former, want)
}

// writePublished keeps what may stand published, or forgets it when nothing does.
func (k *keeper) writePublished(ctx context.Context, p published) error {
	sum := sha256.Sum256([]byte(p.Target.ID()))
	key := namesPrefix(k.farm) + hex.EncodeToString(sum[:8])
	var err error
	if len(p.Records) == 0 {
		err = k.store.Delete(ctx, key)
	} else {
		_, err = store.PutJSON(ctx, k.store, key, p)
	}
	if err != nil {
		return fmt.Errorf("writing down what names are published: %w", err)
	}
	return nil
}

// namesOwner is who the farm's names belong to; it is made once.
func (k *keeper) namesOwner(ctx context.Context, p *publishing) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.owner != "" {
		return p.owner, nil
	}
	e, err := k.store.Get(ctx, namesOwnerKey(k.farm))
	if errors.Is(err, store.ErrNotFound) {
		e.Value = []byte(k.farm + "-" + strings.ToLower(rand.Text()[:10]))
		_, err = k.store.Put(ctx, namesOwnerKey(k.farm), e.Value, store.If(store.Absent()))
	}
	if err != nil {
		return "", fmt.Errorf("reading whose the farm's names are: %w", err)
	}
	p.owner = string(e.Value)
	return p.owner, nil
}

// forgetNameSecret removes the secret of a record whose name is withdrawn, unless the record has one still.
func (k *keeper) forgetNameSecret(ctx context.Context, record string) {
	e, err := k.store.Get(ctx, state.DNSSecretKey(k.farm, record))
	if err != nil {
		return
	}
	d, _, err := store.GetJSON[spec.DNSRecord](ctx, k.store, state.DNSKey(k.farm, record))
	if err != nil && !errors.Is(err, store.ErrNotFound) || err == nil && d.SecretVersion() != 0 {
		return
	}
	if err := k.store.Delete(ctx, e.Key, store.If(store.At(e.Revision))); err != nil {
		k.log.Warn("the secret of a record that is gone is left in the store", "record", record, "error", err)
	}
}

// tellNames says what was published, what stands in the way when that begins or changes, and when it has passed.
func (k *keeper) tellNames(ctx context.Context, at *place, id string, changed []dns.Change, err error) {
	say := func(level, reason string) {
		if err := k.event(ctx, state.Event{Kind: "dns", Level: level, Reason: reason}); err != nil {
			k.log.Warn("an event is not in the history", "reason", reason, "error", err)
		}
	}
	if len(changed) > 0 {
		say("info", "published in "+id+": "+sentenceOf(changed))
	}
	trouble := ""
	switch conflicts := dns.Conflicts(err); {
	case len(conflicts) > 0:
		trouble = err.Error() // names and holders: another text is another conflict
	case err != nil:
		trouble = "failing" // the text may name a port, and differ each time
	}
	switch {
	case trouble != "" && trouble != at.trouble:
		say("warning", fmt.Sprintf("names cannot be published in %s: %s; trying again", id, strings.ReplaceAll(err.Error(), "\n", "; ")))
	case trouble == "" && at.trouble != "":
		say("info", "names are published in "+id+" again")
	}
	at.trouble = trouble
}

func sentenceOf(changed []dns.Change) string {
	var words []string
	for _, c := range changed[:min(len(changed), changesTold)] {
		words = append(words, c.String())
	}
	if more := len(changed) - len(words); more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, ", ")
}

// namesGone tells whether a farm that ends has no name left, or has waited for that for long enough: a nameserver that
// is gone for good is no reason to keep a farm.
func (k *keeper) namesGone(ctx context.Context) bool {
	p := k.publishing
	if p == nil || k.onlyRole != "" {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now, gone := k.opts.Now(), true
	for id, at := range p.places {
		if len(at.Records) == 0 && !k.jobs.busy("publish in "+id) {
			continue
		}
		if at.leaving.IsZero() {
			at.leaving = now
		}
		if now.Sub(at.leaving) < leaveNames {
			gone = false
			continue
		}
		var names []string
		for _, r := range at.Records {
			names = append(names, r.Name)
		}
		k.eventOnce(ctx, state.Event{Kind: "dns", Level: "warning", Reason: fmt.Sprintf("the farm ends without its names being withdrawn in %s: remove %s there by hand",
			id, strings.Join(names, ", "))})
	}
	return gone
}
