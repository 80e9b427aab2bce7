package rfc2136

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	wire "github.com/miekg/dns"

	"github.com/farmhand/terraform-provider-farmhand/internal/dns"
)

const (
	// exchangeTime bounds one question or update.
	exchangeTime = 10 * time.Second
	// trustFor is how long what was found at a name is believed; see route53's.
	trustFor = 10 * time.Minute
	// tries are those of one Publish whose updates are refused because others change the zone.
	tries = 4
	// clockSkew is how far the clocks may be apart for a signature to count: RFC 8945 recommends it.
	clockSkew = 300
	// mostRecords keeps an UPDATE well within the 64 KB of a DNS message: an A record of a long name takes some 270
	// bytes before compression, and names are compressed.
	mostRecords = 400
)

// Options of a Publisher.
type Options struct {
	Server string // host or host:port; port 53 if none
	Zone   string // that the server is the primary of
	Owner  string
	// Key is TSIG's: its name, its algorithm ("hmac-sha256") and its secret in base64. No name: updates are not signed.
	KeyName, KeyAlgorithm, KeySecret string
	Now                              func() time.Time // nil: time.Now
}

// Publisher publishes in one zone of one nameserver.
type Publisher struct {
	opts  Options
	zone  string // with its final dot
	key   string // the same of the key's name
	found map[string]found
}

type found struct {
	dns.Held
	at time.Time
}

var _ dns.Publisher = (*Publisher)(nil)

// New makes a publisher; nothing is asked before Publish.
func New(opts Options) *Publisher {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if _, _, err := net.SplitHostPort(opts.Server); err != nil {
		opts.Server = net.JoinHostPort(strings.Trim(opts.Server, "[]"), "53")
	}
	p := &Publisher{opts: opts, zone: wire.CanonicalName(opts.Zone), found: map[string]found{}}
	if opts.KeyName != "" {
		p.key = wire.CanonicalName(opts.KeyName)
	}
	return p
}

// Publish implements dns.Publisher.
func (p *Publisher) Publish(ctx context.Context, former, want []dns.Record) (changed []dns.Change, err error) {
	defer func() {
		if err != nil {
			p.found = map[string]found{}
		}
	}()
	in, outside := p.within(want)
	for try := 1; ; try++ {
		if err := p.look(ctx, former, in); err != nil {
			return changed, err
		}
		steps, conflicts := dns.Steps(p.opts.Owner, former, in, func(name string) dns.Held { return p.found[name].Held })
		steps, taken, err := p.free(ctx, steps)
		if err != nil {
			return changed, err
		}
		conflicts = append(append(conflicts, taken...), outside...)
		done, err := p.change(ctx, steps)
		changed = append(changed, done...)
		switch {
		case err == nil:
			return changed, errors.Join(conflicts...)
		case !errors.Is(err, errPrerequisite) || try == tries:
			return changed, err
		}
		p.found = map[string]found{} // somebody was faster: look again
	}
}

func (p *Publisher) within(want []dns.Record) (in []dns.Record, outside []error) {
	for _, r := range want {
		if dns.Within(r.Name, p.zone) {
			in = append(in, r)
			continue
		}
		outside = append(outside, &dns.ConflictError{Name: r.Name, Holder: "another zone than " + strings.TrimSuffix(p.zone, ".")})
	}
	return in, outside
}

// look finds out what stands at the names that are not known yet. Whether a name without our ownership is free is not
// asked here: a wildcard would answer for it. The nameserver is asked that by a prerequisite, which knows no wildcards.
func (p *Publisher) look(ctx context.Context, former, want []dns.Record) error {
	for _, r := range append(slices.Clone(former), want...) {
		name := strings.ToLower(strings.TrimSuffix(r.Name, "."))
		if f := p.found[name]; f.Owned && f.Owner == p.opts.Owner && p.opts.Now().Sub(f.at) < trustFor {
			continue // what others have may have gone meanwhile
		}
		f := found{at: p.opts.Now(), Held: dns.Held{Record: dns.Record{Name: name}}}
		texts, err := p.ask(ctx, dns.OwnershipName(name), wire.TypeTXT)
		if err != nil {
			return err
		}
		for _, rr := range texts {
			if t, ok := rr.(*wire.TXT); ok {
				if owner, ours := dns.OwnerIn(strings.Join(t.Txt, "")); ours {
					f.Owner, f.Owned = owner, true
				}
			}
		}
		if f.Owned && f.Owner == p.opts.Owner {
			if err := p.lookAddresses(ctx, &f); err != nil {
				return err
			}
		}
		p.found[name] = f
	}
	return nil
}

func (p *Publisher) lookAddresses(ctx context.Context, f *found) error {
	for _, t := range []uint16{wire.TypeA, wire.TypeAAAA} {
		rrs, err := p.ask(ctx, f.Name, t)
		if err != nil {
			return err
		}
		for _, rr := range rrs {
			if a, ok := addressOf(rr); ok {
				f.Addresses, f.TTL = append(f.Addresses, a), time.Duration(rr.Header().Ttl)*time.Second
			}
		}
	}
	return nil
}

// ask returns the records of a name and type; none is no error.
func (p *Publisher) ask(ctx context.Context, name string, t uint16) ([]wire.RR, error) {
	m := new(wire.Msg).SetQuestion(wire.Fqdn(name), t)
	m.RecursionDesired = false
	reply, err := p.exchange(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("asking nameserver %s for %s: %w", p.opts.Server, name, err)
	}
	switch reply.Rcode {
	case wire.RcodeSuccess, wire.RcodeNameError:
		return reply.Answer, nil
	}
	return nil, fmt.Errorf("asking nameserver %s for %s: %w", p.opts.Server, name, p.refusal(reply))
}

// exchange asks by TCP: updates are large, and a signed question should not be repeated by chance.
func (p *Publisher) exchange(ctx context.Context, m *wire.Msg) (*wire.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	client := wire.Client{Net: "tcp", Timeout: exchangeTime}
	if p.key != "" {
		m.SetTsig(p.key, wire.CanonicalName(p.opts.KeyAlgorithm), clockSkew, p.opts.Now().Unix())
		client.TsigSecret = map[string]string{p.key: p.opts.KeySecret}
	}
	reply, _, err := client.ExchangeContext(ctx, m, p.opts.Server)
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if reply != nil && reply.Rcode == wire.RcodeNotAuth {
		return reply, nil // it may have refused the signature, and then signs nothing itself
	}
	return reply, err
}

// errPrerequisite: the zone is not as the update assumes; nothing was changed.
var errPrerequisite = errors.New("the zone has changed meanwhile")

// refusal is what an answer that is none means for a person.
func (p *Publisher) refusal(reply *wire.Msg) error {
	zone, word := strings.TrimSuffix(p.zone, "."), wire.RcodeToString[reply.Rcode]
	switch reply.Rcode {
	case wire.RcodeYXDomain, wire.RcodeYXRrset, wire.RcodeNXRrset:
		return fmt.Errorf("%w (%s)", errPrerequisite, word)
	case wire.RcodeNotZone:
		return fmt.Errorf("%s: a name does not belong to zone %s", word, zone)
	case wire.RcodeRefused:
		return fmt.Errorf("%s: the nameserver does not take this from us; allow it for key %q on zone %s (allow-update or update-policy in BIND, an update ACL in Knot)", word, p.opts.KeyName, zone)
	case wire.RcodeNotAuth:
		if t := reply.IsTsig(); t != nil && t.Error != 0 {
			return fmt.Errorf("%s: key %q was not taken (%s): compare its name, algorithm and secret with the nameserver's, and both clocks", word, p.opts.KeyName, wire.RcodeToString[int(t.Error)])
		}
		return fmt.Errorf("%s: the nameserver is not the primary of zone %s, or wants another TSIG key than %q", word, zone, p.opts.KeyName)
	}
	return errors.New(word)
}

// free leaves out the names to be claimed that somebody else holds, by asking with prerequisites alone: all at once,
// and one by one where that fails.
func (p *Publisher) free(ctx context.Context, steps []dns.Step) (kept []dns.Step, taken []error, err error) {
	claims := slices.DeleteFunc(slices.Clone(steps), func(s dns.Step) bool { return !s.Claim })
	if len(claims) == 0 {
		return steps, nil, nil
	}
	whole := len(claims) <= mostRecords/claimRecords
	if whole {
		err = p.update(ctx, p.prerequisites(claims))
		if err == nil {
			return steps, nil, nil
		}
		if !errors.Is(err, errPrerequisite) {
			return nil, nil, err
		}
	}
	held := map[string]bool{}
	for _, s := range claims {
		err := p.update(ctx, p.prerequisites([]dns.Step{s}))
		switch {
		case errors.Is(err, errPrerequisite):
			held[s.Name] = true
			taken = append(taken, &dns.ConflictError{Name: s.Name, Holder: "a record that no farm has made (no TXT record " + dns.OwnershipName(s.Name) + ")"})
			delete(p.found, s.Name)
		case err != nil:
			return nil, nil, err
		}
	}
	return slices.DeleteFunc(steps, func(s dns.Step) bool { return held[s.Name] }), taken, nil
}

// change carries the steps out: in one message, unless there are hundreds of names. What belongs to one name is never
// parted, and withdrawals go last.
func (p *Publisher) change(ctx context.Context, steps []dns.Step) (done []dns.Change, err error) {
	slices.SortStableFunc(steps, func(a, b dns.Step) int { return cmp.Compare(bit(a.Withdraw), bit(b.Withdraw)) })
	for len(steps) > 0 {
		n, records := 0, 0
		for n < len(steps) && (n == 0 || records+claimRecords+len(steps[n].New.Addresses) <= mostRecords) {
			records += claimRecords + len(steps[n].New.Addresses)
			n++
		}
		m := p.prerequisites(steps[:n])
		for _, s := range steps[:n] {
			p.write(m, s)
		}
		if err := p.update(ctx, m); err != nil {
			return done, err
		}
		for _, s := range steps[:n] {
			f := found{at: p.opts.Now(), Held: dns.Held{Record: dns.Record{Name: s.Name}}}
			if !s.Withdraw {
				f.Record, f.Owner, f.Owned = s.New, p.opts.Owner, true
			}
			p.found[s.Name] = f
			done = append(done, s.Change())
		}
		steps = steps[n:]
	}
	return done, nil
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (p *Publisher) update(ctx context.Context, m *wire.Msg) error {
	reply, err := p.exchange(ctx, m)
	if err == nil && reply.Rcode != wire.RcodeSuccess {
		err = p.refusal(reply)
	}
	if err != nil {
		return fmt.Errorf("updating zone %s at nameserver %s: %w", strings.TrimSuffix(p.zone, "."), p.opts.Server, err)
	}
	return nil
}
