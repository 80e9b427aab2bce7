package dbservertest

import (
	"context"
	"crypto/tls"
	"database/sql"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/farmhand/terraform-provider-farmhand/internal/authority"
	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver"
)

// secured is a server that offers TLS, with the files that it does it by.
type secured struct {
	*Instance
	files dbserver.TLS
}

func (w *world) authority() *authority.Authority {
	w.Helper()
	a, err := authority.Parse(authority.New("contract", time.Now()))
	w.must(err)
	return a
}

// secured starts a server that trusts a, with a certificate of a's for its address.
func (w *world) secured(a *authority.Authority) *secured {
	w.Helper()
	dir, err := os.MkdirTemp("/tmp", "tls") //nolint:usetesting // the server's own user must get there
	w.must(err)
	w.Cleanup(func() { _ = os.RemoveAll(dir) })
	w.must(os.Chmod(dir, 0o755))
	s := &secured{files: dbserver.TLS{Authority: filepath.Join(dir, "authority.pem"), Certificate: filepath.Join(dir, "server.pem")}}
	w.write(s.files.Authority, a.PEM)
	w.show(s, a, netip.Addr{}) // its address is not known before it runs
	w.n++
	s.Instance = w.start(w.T, w.n, "ssl-ca="+s.files.Authority, "ssl-cert="+s.files.Certificate, "ssl-key="+s.files.Certificate)
	w.show(s, a, w.address(s))
	w.must(s.ReloadTLS(w.Context()))
	return s
}

func (w *world) address(s *secured) netip.Addr {
	w.Helper()
	at, err := netip.ParseAddrPort(s.Address)
	w.must(err)
	return at.Addr()
}

// show puts a new certificate of a's where the server finds it.
func (w *world) show(s *secured, a *authority.Authority, at netip.Addr) {
	w.Helper()
	i, err := a.Issue(at, []string{"db-1"}, time.Now())
	w.must(err)
	w.write(s.files.Certificate, i.PEM)
}

func (w *world) write(path string, content []byte) {
	w.Helper()
	w.must(os.WriteFile(path+".new", content, 0o644)) // keys of a test; whose user the server is, is not known here
	w.must(os.Rename(path+".new", path))
}

// accounts are those of a primary whose replicas have to show certificates.
func (s *secured) accounts() dbserver.Accounts {
	a := theAccounts
	a.ReplicaTLS = s.files
	return a
}

// securedPrimary takes writes; its replicas have to show certificates.
func (w *world) securedPrimary(a *authority.Authority) *secured {
	w.Helper()
	p := w.secured(a)
	w.must(p.MakeWritable(w.Context()))
	w.must(p.Ensure(w.Context(), p.accounts()))
	w.exec(w.app(p.Instance), "CREATE TABLE t (id INT PRIMARY KEY)")
	return p
}

func (w *world) securedSource(p, r *secured) dbserver.Source {
	w.Helper()
	source := w.source(p.Instance)
	source.TLS = &r.files
	return source
}

func refused(st dbserver.Status) bool { return !st.Receiving && st.ReceiveError != "" && !st.Broken }

func encrypts(w *world) {
	a := w.authority()
	p, r := w.securedPrimary(a), w.secured(a)
	w.must(r.Follow(w.Context(), w.securedSource(p, r)))
	w.caughtUp(r.Instance, p.Instance)
	if st := w.status(r.Instance); !st.Encrypted || st.ReceiveError != "" {
		w.Errorf("the replica stands as %+v", st)
	}
	before := w.status(p.Instance).Position
	w.must(p.Ensure(w.Context(), p.accounts()))
	if after := w.status(p.Instance).Position; after != before {
		w.Errorf("making accounts that are there wrote from %s to %s", before, after)
	}
	w.must(r.Detach(w.Context()))
	w.must(r.Follow(w.Context(), w.securedSource(p, r)))
	w.insert(p.Instance, 1)
	w.caughtUp(r.Instance, p.Instance)
	// Applications do as they like: w.app knows nothing of TLS.
	w.must(w.appByTLS(p, a, nil).PingContext(w.Context()))
	if err := w.appByTLS(p, w.authority(), nil).PingContext(w.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
		w.Errorf("an application that trusts another authority: %v", err)
	}
}

// appByTLS is the application's way in by TLS. seen is told which certificate the server shows.
func (w *world) appByTLS(s *secured, trusts *authority.Authority, seen func(serial string)) *sql.DB {
	w.Helper()
	host, _, err := net.SplitHostPort(s.Address)
	w.must(err)
	i, err := trusts.Issue(netip.Addr{}, []string{"web-1"}, time.Now())
	w.must(err)
	c := driver.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.DBName = theAccounts.User, theAccounts.Password, "tcp", s.Address, theAccounts.Database
	c.Timeout, c.Logger = 2*time.Second, &driver.NopLogger{}
	c.TLS = i.Client(host)
	c.TLS.VerifyConnection = func(state tls.ConnectionState) error {
		if seen != nil {
			seen(state.PeerCertificates[0].SerialNumber.String())
		}
		return nil
	}
	connector, err := driver.NewConnector(c)
	w.must(err)
	db := sql.OpenDB(connector)
	w.Cleanup(func() { _ = db.Close() })
	return db
}

func otherAuthority(w *world) {
	ours, other := w.authority(), w.authority()
	p, r := w.securedPrimary(ours), w.secured(ours)
	follow := func() {
		w.Helper()
		w.must(r.Detach(w.Context()))
		w.must(r.Follow(w.Context(), w.securedSource(p, r)))
	}
	w.must(r.Follow(w.Context(), w.securedSource(p, r)))
	w.caughtUp(r.Instance, p.Instance)

	// A source of another authority; and one of ours that is somebody else.
	w.write(p.files.Authority, other.PEM) // MySQL shows no certificate of an authority that it does not trust itself
	w.show(p, other, w.address(p))
	w.must(p.ReloadTLS(w.Context()))
	follow()
	w.until("a source of another authority is refused", r.Instance, refused)
	w.write(p.files.Authority, ours.PEM)
	w.show(p, ours, netip.MustParseAddr("192.0.2.1"))
	w.must(p.ReloadTLS(w.Context()))
	follow()
	w.until("a source with a certificate for another address is refused", r.Instance, refused)
	w.show(p, ours, w.address(p))
	w.must(p.ReloadTLS(w.Context()))
	follow()
	w.caughtUp(r.Instance, p.Instance)

	// A replica of another authority. It trusts ours: its source is not what stands in the way.
	w.show(r, other, w.address(r))
	follow()
	w.until("a replica of another authority is refused", r.Instance, refused)
	w.show(r, ours, w.address(r))
	follow()
	w.insert(p.Instance, 1)
	w.caughtUp(r.Instance, p.Instance)
}

// withoutTLS: whether replicas may come without is the primary's to say, and it may change its mind.
func withoutTLS(w *world) {
	a := w.authority()
	p, r := w.securedPrimary(a), w.secured(a)
	w.must(r.Follow(w.Context(), w.source(p.Instance)))
	w.until("a replica without TLS is refused", r.Instance, func(st dbserver.Status) bool { return refused(st) && !st.Encrypted })
	w.must(p.Ensure(w.Context(), theAccounts))
	w.must(r.Follow(w.Context(), w.source(p.Instance)))
	w.caughtUp(r.Instance, p.Instance)
	w.must(p.Ensure(w.Context(), p.accounts()))
	w.insert(p.Instance, 1)
	w.caughtUp(r.Instance, p.Instance) // who is connected stays so
	w.must(r.Follow(w.Context(), w.securedSource(p, r)))
	w.until("it follows by TLS", r.Instance, func(st dbserver.Status) bool { return st.Receiving && st.Encrypted })
	w.must(r.Detach(w.Context()))
	w.must(r.Follow(w.Context(), w.source(p.Instance)))
	w.until("a replica without TLS is refused again", r.Instance, refused)
	// A source that offers none is not followed in plain text instead.
	bare := w.primary()
	w.must(r.Detach(w.Context()))
	w.must(r.Follow(w.Context(), func() dbserver.Source { s := w.source(bare); s.TLS = &r.files; return s }()))
	w.until("a source without TLS is refused", r.Instance, refused)
}

func renews(w *world) {
	a := w.authority()
	p, r := w.securedPrimary(a), w.secured(a)
	w.must(r.Follow(w.Context(), w.securedSource(p, r)))
	w.caughtUp(r.Instance, p.Instance)
	serial := func(s *secured) (serial string) {
		w.Helper()
		w.must(w.appByTLS(s, a, func(s string) { serial = s }).PingContext(w.Context()))
		return serial
	}
	held, err := w.appByTLS(p, a, nil).Conn(w.Context())
	w.must(err)
	defer held.Close()
	w.must(held.PingContext(w.Context()))
	for _, s := range []*secured{p, r} {
		before, at := serial(s), w.status(s.Instance).Position
		w.show(s, a, w.address(s))
		if after := serial(s); after != before {
			w.Errorf("a certificate was taken over before anybody said so")
		}
		w.must(s.ReloadTLS(w.Context()))
		if after := serial(s); after == before {
			w.Errorf("the server still shows certificate %s", after)
		}
		if now := w.status(s.Instance); now.Position != at || s == r && now.Own != "" {
			w.Errorf("taking a certificate over wrote a transaction: from %s to %s", at, now.Position)
		}
	}
	w.must(held.PingContext(w.Context()))
	w.insert(p.Instance, 1)
	w.caughtUp(r.Instance, p.Instance)
	// What is no certificate is not taken over, and the former one stays.
	before := serial(p)
	w.write(p.files.Certificate, []byte("none"))
	bounded, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	if err := p.ReloadTLS(bounded); err == nil {
		w.Error("a file without a certificate was taken over")
	}
	if after := serial(p); after != before {
		w.Errorf("the server shows certificate %s in place of %s", after, before)
	}
}
