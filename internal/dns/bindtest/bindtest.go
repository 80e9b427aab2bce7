// Package bindtest runs a real BIND for tests of dynamic updates.
package bindtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	wire "github.com/miekg/dns"
)

// The key that updates must be signed with, by hmac-sha256.
const (
	KeyName   = "farmhand"
	KeySecret = "bXkgdGVzdCBrZXkgb2YgdGhpcnR5LXR3byBieXRlcyE="
)

// Server is a named of this test.
type Server struct {
	t      *testing.T
	folder string
	// Addr is where it listens, host:port.
	Addr string
}

// Start runs named, which it skips the test without, with the zones on a free port of 127.0.0.1; updates need the key.
func Start(t *testing.T, zones ...string) *Server {
	t.Helper()
	named := "/usr/sbin/named"
	if _, err := os.Stat(named); err != nil {
		t.Skip("no BIND: install bind9, or run scripts/setup.sh")
	}
	b := &Server{t: t, folder: t.TempDir()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.Addr = l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(b.Addr)
	var conf strings.Builder
	fmt.Fprintf(&conf, `options { directory %q; pid-file none; session-keyfile %q; listen-on port %s { 127.0.0.1; }; listen-on-v6 { none; };
  recursion no; dnssec-validation no; notify no; allow-transfer { none; }; };
controls { };
key %q { algorithm hmac-sha256; secret %q; };
`, b.folder, filepath.Join(b.folder, "session.key"), port, KeyName, KeySecret)
	for _, z := range zones {
		fmt.Fprintf(&conf, "zone %q { type primary; file %q; allow-update { key %q; }; };\n", z, z+".db", KeyName)
		b.write(z+".db", "$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n")
	}
	b.write("named.conf", conf.String())
	log, err := os.Create(filepath.Join(b.folder, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(named, "-f", "-n", "1", "-c", filepath.Join(b.folder, "named.conf"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		log.Close()
	})
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		m, _, err := new(wire.Client).Exchange(new(wire.Msg).SetQuestion(zones[len(zones)-1]+".", wire.TypeSOA), b.Addr)
		if err == nil && len(m.Answer) == 1 {
			return b
		}
		if time.Now().After(end) {
			said, _ := os.ReadFile(log.Name())
			t.Fatalf("BIND does not answer: %v\n%s", err, said)
		}
	}
}

func (b *Server) write(name, content string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.folder, name), []byte(content), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// Ask is what dig would show: the records of one name and type, as they are written.
func (b *Server) Ask(name string, t uint16) []wire.RR {
	b.t.Helper()
	c := wire.Client{Net: "tcp"}
	m, _, err := c.Exchange(new(wire.Msg).SetQuestion(wire.Fqdn(name), t), b.Addr)
	if err != nil {
		b.t.Fatal(err)
	}
	return m.Answer
}

// Update changes the zone as its administrator does.
func (b *Server) Update(zone string, change func(*wire.Msg)) {
	b.t.Helper()
	m := new(wire.Msg).SetUpdate(zone + ".")
	change(m)
	m.SetTsig(KeyName+".", wire.HmacSHA256, 300, time.Now().Unix())
	c := wire.Client{Net: "tcp", TsigSecret: map[string]string{KeyName + ".": KeySecret}}
	r, _, err := c.Exchange(m, b.Addr)
	if err != nil || r.Rcode != wire.RcodeSuccess {
		b.t.Fatalf("updating: %v, %v", r, err)
	}
}

// Parse reads a record as a zone file has it.
func Parse(t *testing.T, s string) wire.RR {
	t.Helper()
	rr, err := wire.NewRR(s)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}
