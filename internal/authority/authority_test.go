package authority

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

var address = netip.MustParseAddr("10.0.0.7")

// made is an authority, parsed.
func made(t *testing.T, now time.Time) *Authority {
	t.Helper()
	a, err := Parse(New("farmhand shop/db", now))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *Authority) issue(t *testing.T, now time.Time) *Identity {
	t.Helper()
	i, err := a.Issue(address, []string{"db-1", "primary.db.shop.internal"}, now)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// meet connects two of them and sends a word each way; it returns what the server and the client say of that.
func meet(t *testing.T, server, client *tls.Config) (heard, said error) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = io.CopyN(c, c, 4)
			_ = c.Close()
		}
		done <- err
	}()
	plain, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(plain, client)
	_, said = c.Write([]byte("word"))
	if said == nil {
		_, said = io.ReadFull(c, make([]byte, 4)) // in TLS 1.3 a client hears here that its certificate is refused
	}
	_ = c.Close()
	return <-done, said
}

func TestWhoMeets(t *testing.T) {
	now := time.Now()
	ours, other := made(t, now), made(t, now)
	server, client := ours.issue(t, now), ours.issue(t, now)
	old := func(c *tls.Config) *tls.Config {
		c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		return c
	}
	without := func(c *tls.Config) *tls.Config { c.Certificates = nil; return c }
	later := func(c *tls.Config, d time.Duration) *tls.Config {
		c.Time = func() time.Time { return now.Add(d) }
		return c
	}
	for name, c := range map[string]struct {
		server, client *tls.Config
		heard, said    string // in the errors; "" for none
	}{
		"at the address":                          {server.Server(), client.Client("10.0.0.7"), "", ""},
		"by a name":                               {server.Server(), client.Client("primary.db.shop.internal"), "", ""},
		"at another address":                      {server.Server(), client.Client("10.0.0.8"), "bad certificate", "10.0.0.8"},
		"a server of another authority":           {other.issue(t, now).Server(), client.Client("10.0.0.7"), "bad certificate", "unknown authority"},
		"a client of another authority":           {server.Server(), trusting(other.issue(t, now), server).Client("10.0.0.7"), "unknown authority", "unknown certificate authority"},
		"a client without a certificate":          {server.Server(), without(client.Client("10.0.0.7")), "didn't provide a certificate", "certificate required"},
		"a client of an older protocol":           {server.Server(), old(client.Client("10.0.0.7")), "unsupported versions", "protocol version"},
		"a server's certificate that has run out": {server.Server(), later(client.Client("10.0.0.7"), IdentityLife+time.Minute), "bad certificate", "expired"},
		"a client's certificate that has run out": {later(server.Server(), IdentityLife+time.Minute), client.Client("10.0.0.7"), "expired", "expired certificate"},
		"a clock that is half an hour slow":       {server.Server(), later(client.Client("10.0.0.7"), -skew/2), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			heard, said := meet(t, c.server, c.client)
			for _, e := range []struct {
				who, want string
				got       error
			}{{"server", c.heard, heard}, {"client", c.said, said}} {
				if (e.got == nil) != (e.want == "") || e.got != nil && !strings.Contains(e.got.Error(), e.want) {
					t.Errorf("the %s says %v, want %q in it", e.who, e.got, e.want)
				}
			}
		})
	}
}

// trusting is an identity that takes the other one's authority for its own.
func trusting(i, other *Identity) *Identity {
	return &Identity{pair: i.pair, trusted: other.trusted}
}

func TestWhatIsGivenOut(t *testing.T) {
	now := time.Now()
	a := made(t, now)
	if bytes.Contains(a.PEM, []byte(keyBlock)) {
		t.Error("what others trust holds the authority's key")
	}
	i := a.issue(t, now)
	if _, err := tls.X509KeyPair(i.PEM, i.PEM); err != nil {
		t.Errorf("certificate and key of an identity: %v", err)
	}
	if b, _ := pem.Decode(i.PEM); b.Type != certificateBlock {
		t.Errorf("an identity begins with a %s", b.Type)
	}
	leaf, err := x509.ParseCertificate(i.pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if leaf.IsCA || i.Due.Sub(now) != IdentityLife/3 || leaf.NotAfter.Sub(now.Truncate(time.Second)) > IdentityLife {
		t.Errorf("an identity that is good until %s is due at %s, and may issue: %v", leaf.NotAfter, i.Due, leaf.IsCA)
	}
	if until := a.certificate.NotAfter; until.Before(now.Add(Life - time.Minute)) {
		t.Errorf("the authority ends at %s", until)
	}
}

func TestParsing(t *testing.T) {
	now := time.Now()
	text := New("farmhand shop/db", now)
	a := made(t, now)
	for name, bad := range map[string]string{
		"nothing": "", "no key": string(a.PEM), "a server's": string(a.issue(t, now).PEM),
		"another one's key": string(a.PEM) + text[strings.Index(New("x", now), "-----BEGIN PRIVATE"):],
		"cut short":         text[:len(text)/2],
	} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%s was taken for an authority", name)
		} else if strings.Contains(err.Error(), "MI") {
			t.Errorf("%s: the error repeats what it read: %v", name, err)
		}
	}
}
