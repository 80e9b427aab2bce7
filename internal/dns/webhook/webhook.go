// Package webhook tells a name's address to a provider of dynamic DNS by an HTTP request, such as DNS Made Easy's
// https://cp.dnsmadeeasy.com/servlet/updateip?username=...&password=...&id=...&ip=...
//
// Such a provider is told addresses and nothing else: it has no ownership, and cannot be told that nobody serves or
// that a name is given up. What it was told last is remembered by the caller, so that it is told changes only.
package webhook

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/farmhand/terraform-provider-farmhand/internal/dns"
)

const (
	// callTime bounds one request, tries those of one Publish; the caller comes back with a longer pause.
	callTime = 15 * time.Second
	tries    = 3
	// firstLine is how much of an answer is told; no one reads more of an error page.
	firstLine = 200
)

// Options of a Publisher. In URL, Header and Body stand placeholders: {name}, {type} (A or AAAA), {address} (the first),
// {addresses} and {old} (all, with commas), {ttl} (seconds) and {secret}.
type Options struct {
	URL, Method string // method: GET if empty
	Header      map[string]string
	Body        string
	Secret      string
	// Expect, if not empty, must be found in the answer: some providers answer 200 to everything.
	Expect string
	Client *http.Client  // nil: one of its own, that follows no redirection
	Pause  time.Duration // before the second try; 0: 500 ms
}

// Publisher makes the requests.
type Publisher struct{ opts Options }

var _ dns.Publisher = (*Publisher)(nil)

// New makes a publisher.
func New(opts Options) *Publisher {
	if opts.Method == "" {
		opts.Method = http.MethodGet
	}
	if opts.Client == nil {
		// A redirection would carry the secret elsewhere.
		opts.Client = &http.Client{Timeout: callTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if opts.Pause == 0 {
		opts.Pause = 500 * time.Millisecond
	}
	return &Publisher{opts: opts}
}

// Publish implements dns.Publisher: one request per name and type of address whose addresses are other than in former.
func (p *Publisher) Publish(ctx context.Context, former, want []dns.Record) (changed []dns.Change, err error) {
	told := map[string]dns.Record{}
	for _, r := range former {
		told[strings.ToLower(r.Name)] = r
	}
	var failures []error
	for _, w := range want {
		old := told[strings.ToLower(w.Name)]
		if len(w.Addresses) == 0 || dns.SameAddresses(old.Addresses, w.Addresses) {
			continue
		}
		if err := p.tell(ctx, old, w); err != nil {
			failures = append(failures, err)
			continue
		}
		changed = append(changed, dns.Change{Name: w.Name, Old: old.Addresses, New: w.Addresses})
	}
	return changed, errors.Join(failures...)
}

func (p *Publisher) tell(ctx context.Context, old, w dns.Record) error {
	for _, kind := range []string{"A", "AAAA"} {
		now, before := ofKind(w.Addresses, kind), ofKind(old.Addresses, kind)
		if len(now) == 0 || dns.SameAddresses(now, before) {
			continue
		}
		values := map[string]string{
			"{name}": w.Name, "{type}": kind, "{address}": now[0].String(), "{addresses}": joined(now), "{old}": joined(before),
			"{ttl}": fmt.Sprint(int(w.TTL.Seconds())), "{secret}": p.opts.Secret,
		}
		wait := backoff.NewExponentialBackOff()
		wait.InitialInterval = p.opts.Pause
		_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, p.call(ctx, values) },
			backoff.WithBackOff(wait), backoff.WithMaxTries(tries))
		if err != nil {
			return fmt.Errorf("telling the webhook of %s: %w", w.Name, p.hidden(err))
		}
	}
	return nil
}

// call makes one request. What can never succeed is a permanent error.
func (p *Publisher) call(ctx context.Context, values map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var body io.Reader
	if p.opts.Body != "" {
		body = strings.NewReader(replaced(p.opts.Body, values, func(s string) string { return s }))
	}
	req, err := http.NewRequestWithContext(ctx, p.opts.Method, replaced(p.opts.URL, values, url.QueryEscape), body)
	if err != nil {
		return backoff.Permanent(errors.New("its url is none once the placeholders are filled in"))
	}
	req.Header.Set("User-Agent", "farmhand")
	for name, value := range p.opts.Header {
		req.Header.Set(name, replaced(value, values, func(s string) string { return s }))
	}
	resp, err := p.opts.Client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // the rest of it is the address, secret included
		}
		return err
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what could be read of it decides
	line := first(p.concealed(string(answer)))                 // before it is cut short: half a secret is known by no other
	switch {
	case resp.StatusCode/100 != 2:
		err = fmt.Errorf("it answered %s: %s", resp.Status, line)
		if resp.StatusCode/100 == 4 && resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusRequestTimeout {
			return backoff.Permanent(err)
		}
		return err
	case p.opts.Expect != "" && !strings.Contains(string(answer), p.opts.Expect):
		return backoff.Permanent(fmt.Errorf("its answer does not hold %q: %s", p.opts.Expect, line))
	}
	return nil
}

// hidden takes the secret out of what is told.
func (p *Publisher) hidden(err error) error {
	if text := p.concealed(err.Error()); text != err.Error() {
		return errors.New(text)
	}
	return err
}

func (p *Publisher) concealed(text string) string {
	if p.opts.Secret == "" {
		return text
	}
	for _, s := range []string{p.opts.Secret, url.QueryEscape(p.opts.Secret), url.PathEscape(p.opts.Secret)} {
		text = strings.ReplaceAll(text, s, "(secret)")
	}
	return text
}

func replaced(template string, values map[string]string, escape func(string) string) string {
	var pairs []string
	for placeholder, value := range values {
		pairs = append(pairs, placeholder, escape(value))
	}
	return strings.NewReplacer(pairs...).Replace(template)
}

func first(s string) string {
	scanner := bufio.NewScanner(strings.NewReader(s))
	for scanner.Scan() {
		if line := strings.TrimSpace(scanner.Text()); line != "" {
			if len(line) > firstLine {
				line = strings.ToValidUTF8(line[:firstLine], "") + "..."
			}
			return line
		}
	}
	return "(an empty answer)"
}

func ofKind(addresses []netip.Addr, kind string) []netip.Addr {
	var of []netip.Addr
	for _, a := range addresses {
		if a = a.Unmap(); a.Is4() == (kind == "A") {
			of = append(of, a)
		}
	}
	return dns.Sorted(of)
}

func joined(addresses []netip.Addr) string {
	words := make([]string, len(addresses))
	for i, a := range addresses {
		words[i] = a.String()
	}
	return strings.Join(words, ",")
}
