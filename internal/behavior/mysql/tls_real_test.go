package mysql

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/farmhand/terraform-provider-farmhand/internal/agent/process"
	"github.com/farmhand/terraform-provider-farmhand/internal/authority"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// marker is what somebody who listens would look for.
const marker = "the-customer-s-secret"

// What replicates cannot be read on its way. With a source of an older version it can: that is the control, and what an upgrade looks like.
func TestNobodyReadsWhatIsReplicated(t *testing.T) {
	r := newRig(t, 2)
	r.start(1)
	p := r.nodes[1]
	between := newRelay(t, p.address+":0", p.address+":3306")
	r.nodes[2].launch()
	r.order(func(d *state.Database) {
		d.Orders["db-2"] = state.DatabaseOrder{Office: state.OfficeReplica, Source: between.Addr().String(), CloneFrom: p.address}
	})
	r.nodes[2].awaitSetup()
	replica := r.nodes[2]
	db := p.app()
	p.exec(db, "CREATE TABLE told (id INT PRIMARY KEY AUTO_INCREMENT, what VARCHAR(100))")
	rows := 0
	tell := func(by string, encrypted bool) {
		t.Helper()
		replica.until("following "+by, func(d state.DatabaseReport) bool {
			st, err := replica.runner.db().Status(t.Context())
			return err == nil && following(d) && st.Encrypted == encrypted && st.Receiving
		})
		between.take("")
		rows++
		p.exec(db, "INSERT INTO told (what) VALUES (?)", marker)
		replica.until("the row", func(state.DatabaseReport) bool {
			var n int
			return replica.root_().QueryRow("SELECT COUNT(*) FROM app.told").Scan(&n) == nil && n == rows
		})
		heard, n := between.take(marker)
		t.Logf("%s: of %d bytes that were heard, the row could be read: %v", by, n, heard)
		if n < len(marker) || heard == encrypted {
			t.Errorf("%s: of %d bytes that were heard, the row could be read: %v", by, n, heard)
		}
	}
	tell("by TLS", true)

	// A server of an older version joins, which the primary has to let follow; then the primary is one.
	plain := func(addresses ...string) { r.order(func(d *state.Database) { d.Plain = addresses }) }
	required := func() (kind string) {
		if err := p.root_().QueryRow("SELECT JSON_VALUE(Priv, '$.ssl_type') FROM mysql.global_priv WHERE User = ?", replicaUser).Scan(&kind); err != nil {
			t.Fatal(err)
		}
		return kind
	}
	if got := required(); got != "2" {
		t.Errorf("replicas must come as %s, and should have to show a certificate (2)", got)
	}
	plain("192.0.2.1")
	eventually(t, "replicas may come in plain text", func() bool { return required() == "0" })
	tell("while an older server is there", true)
	plain(p.address)
	tell("from an older server", false)
	plain()
	tell("by TLS again", true)
	eventually(t, "replicas have to show a certificate", func() bool { return required() == "2" })
	if pid, out := p.pid(), p.out.String(); strings.Count(out, "ready for connections") > 1 {
		t.Errorf("the primary (pid %d) was started again:\n%s", pid, tail(out))
	}
}

// asker is a runner that only asks for clones.
func (r *rig) asker(index int, secret map[string]string) *runner {
	r.Helper()
	n := r.nodes[index]
	n.out = &lockedBuffer{}
	q := newRunner(behavior.Instance{Assignment: state.Assignment{Farm: "shop", Role: r.role, Index: index, Address: n.address, Token: "asker"},
		Output: n.out, Run: process.NewTable(n.out), Root: n.root})
	q.volume.owner = owner{os.Getuid(), os.Getgid()}
	q.input.Secret = secret
	q.office.database = &state.Database{}
	if err := os.MkdirAll(q.RunDir, 0o755); err != nil {
		r.Fatal(err)
	}
	if err := q.certify(r.Context(), time.Now()); err != nil {
		r.Fatal(err)
	}
	return q
}

// listen serves clones of a node's data at another port of its own; by nil in plain text, as older versions do.
func (n *node) listen(by *tls.Config) (address string) {
	n.Helper()
	l, err := net.Listen("tcp", n.address+":0")
	if err != nil {
		n.Fatal(err)
	}
	address = l.Addr().String()
	if by != nil {
		l = tls.NewListener(l, by)
	}
	s := &http.Server{Handler: n.runner.giver(), ReadHeaderTimeout: 5 * time.Second, ErrorLog: log.New(complaints{n.runner}, "", 0)}
	n.Cleanup(func() { _ = s.Close() })
	go func() { _ = s.Serve(l) }()
	return address
}

func TestWhoGetsAClone(t *testing.T) {
	r := newRig(t, 2)
	p := r.nodes[1]
	// In its place before the giver's own, which goes on without.
	between := newRelay(t, net.JoinHostPort(p.address, strconv.Itoa(clonePort)), "")
	r.start(1)
	db := p.app()
	p.exec(db, "CREATE TABLE told (id INT PRIMARY KEY AUTO_INCREMENT, what LONGTEXT)")
	p.exec(db, "INSERT INTO told (what) SELECT CONCAT(?, HEX(RANDOM_BYTES(1024))) FROM seq_1_to_1000", marker)

	other, wrongKey := maps.Clone(r.secret), maps.Clone(r.secret)
	other[authorityKey] = authority.New("another role's", time.Now())
	wrongKey[cloneKey] = "guessed"
	ours := p.listen(p.runner.certificates.server())
	plain := p.listen(nil)
	theirs := p.listen(p.identity(other).Server())
	const deep = 5 << 20 // of an answer of some 15 MB
	for _, c := range []struct {
		name   string
		secret map[string]string
		plain  bool // the asker is told that the giver is of an older version
		to     string
		spoil  int64
		want   string // in the error, "" for none
		read   bool   // the data could be read on its way
	}{
		{name: "as it is", secret: r.secret, to: ours},
		{name: "changed on its way", secret: r.secret, to: ours, spoil: deep, want: "receiving it"},
		{name: "by an asker that trusts another authority", secret: other, to: ours, want: "unknown authority"},
		{name: "from a giver of another authority", secret: r.secret, to: theirs, want: "unknown authority"},
		{name: "by an asker without the role's key", secret: wrongKey, to: ours, want: "no proof"},
		{name: "from a giver that says it is older", secret: r.secret, to: plain, want: "server gave HTTP response to HTTPS client"},
		{name: "from an older giver", secret: r.secret, plain: true, to: plain, read: true},
		{name: "from an older giver, changed on its way", secret: r.secret, plain: true, to: plain, spoil: deep, want: "receiving it", read: true},
		{name: "by an older asker", secret: r.secret, plain: true, to: ours, want: "HTTP request to an HTTPS server"},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := r.asker(2, c.secret)
			if c.plain {
				q.office.database.Plain = []string{p.address}
			}
			between.next(c.to, c.spoil)
			dir := filepath.Join(r.nodes[2].root, "clone")
			defer os.RemoveAll(dir)
			n, err := q.fetch(t.Context(), p.address, dir, false)
			read, heard := between.take(marker)
			t.Logf("%d bytes of data, %d bytes on the way, read: %v; %v", n, heard, read, err)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("the asker says %v, want %q in it", err, c.want)
			}
			if read != c.read || c.want == "" && heard < deep {
				t.Errorf("of %d bytes on the way the data could be read: %v", heard, read)
			}
		})
	}
}

// Who trusts anybody, and knows the clone key, still has to show a certificate.
func TestACloneTakesACertificate(t *testing.T) {
	r := newRig(t, 1)
	r.start(1)
	p := r.nodes[1]
	other := map[string]string{authorityKey: authority.New("another role's", time.Now())}
	for name, c := range map[string]struct {
		shows *tls.Config
		want  string // in the error, "" for none
	}{
		"the role's own":      {p.identity(r.secret).Client(p.address), ""},
		"none":                {&tls.Config{}, "certificate required"},
		"another authority's": {p.identity(other).Client(p.address), "unknown certificate authority"},
	} {
		t.Run(name, func(t *testing.T) {
			c.shows.InsecureSkipVerify = true
			if own := c.shows.Certificates; own != nil { // also one that the giver does not ask for
				c.shows.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own[0], nil }
			}
			transport := &http.Transport{TLSClientConfig: c.shows}
			defer transport.CloseIdleConnections()
			q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+net.JoinHostPort(p.address, strconv.Itoa(clonePort))+clonePath, nil)
			if err != nil {
				t.Fatal(err)
			}
			prove(q, r.secret[cloneKey], "shop", "db", time.Now())
			response, err := transport.RoundTrip(q)
			if err == nil {
				defer response.Body.Close()
				if response.StatusCode != http.StatusOK {
					t.Errorf("the giver says %s", response.Status)
				}
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("the giver says %v, want %q in it", err, c.want)
			}
		})
	}
}

// A role may come to have another authority. Its servers take it over while they run.
func TestAnotherAuthorityIsTakenOver(t *testing.T) {
	r := newRig(t, 2)
	r.start(1, 2)
	secrets := []map[string]string{r.secret, maps.Clone(r.secret)}
	secrets[1][authorityKey] = authority.New("another", time.Now())
	pids := func() string { return fmt.Sprint(r.nodes[1].pid(), r.nodes[2].pid()) }
	before := pids()
	for _, now := range []int{1, 0} {
		for _, n := range r.nodes {
			if err := n.opensTo(secrets[1-now]); err != nil {
				t.Errorf("%s, before: %v", n.name(), err)
			}
			if err := n.runner.Apply(t.Context(), behavior.Input{Secret: secrets[now]}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "a certificate of the other authority", func() bool { return n.opensTo(secrets[now]) == nil })
			if n.opensTo(secrets[1-now]) == nil {
				t.Errorf("%s shows certificates of both", n.name())
			}
		}
		// The connection of before goes on as it was. The next one is made anew.
		if err := r.nodes[2].runner.db().Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.nodes[2].until("following", following)
		if st, err := r.nodes[2].runner.db().Status(t.Context()); err != nil || !st.Encrypted {
			t.Errorf("the replica stands as %+v, %v", st, err)
		}
	}
	for _, n := range r.nodes {
		info, err := os.Stat(n.runner.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); info.Mode() != 0o600 || int(st.Uid) != n.runner.volume.owner.uid || strings.HasPrefix(n.runner.Certificate, n.runner.volume.dir) {
			t.Errorf("%s's key is in %s, %s, of user %d", n.name(), n.runner.Certificate, info.Mode(), st.Uid)
		}
	}
	if after := pids(); after != before {
		t.Errorf("the servers' processes were %s and are %s", before, after)
	}
	if d := r.nodes[2].report(); d.Diverged != "" || !d.TLS {
		t.Errorf("the replica reports %+v", d)
	}
}

// opensTo tells whether an application that trusts this secret's authority gets in by TLS.
func (n *node) opensTo(secret map[string]string) error {
	n.Helper()
	c := n.appConfig()
	c.TLS = n.identity(secret).Client(n.address)
	connector, err := driver.NewConnector(c)
	if err != nil {
		n.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(n.Context(), 5*time.Second)
	defer cancel()
	conn, err := connector.Connect(ctx)
	if err == nil {
		_ = conn.Close()
	}
	return err
}

// identity is one for the node's address.
func (n *node) identity(secret map[string]string) *authority.Identity {
	n.Helper()
	a, err := authority.Parse(secret[authorityKey])
	if err != nil {
		n.Fatal(err)
	}
	i, err := a.Issue(netip.MustParseAddr(n.address), []string{n.name()}, time.Now())
	if err != nil {
		n.Fatal(err)
	}
	return i
}
