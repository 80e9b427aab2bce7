package resolver

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	names "github.com/farmhand/terraform-provider-farmhand/internal/dns"
)

// TestSelf: where there is no nameserver the zone is answered from what the agent hands over, and nobody is asked.
func TestSelf(t *testing.T) {
	r := New("shop.internal", "", nil)
	r.SetZone(names.Zone{Name: "shop.internal"})
	addr, err := r.Serve(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ask := func(name string, kind uint16) *dns.Msg {
		t.Helper()
		a, err := dns.Exchange(new(dns.Msg).SetQuestion(name, kind), addr.String())
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := ask("web.shop.internal.", dns.TypeA); a.Rcode != dns.RcodeNameError {
		t.Errorf("before there is anybody: %v", a)
	}
	r.SetZone(names.Zone{Name: "shop.internal", Records: []names.Record{{Name: "web", TTL: names.DefaultTTL,
		Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")}}}})
	first := map[string]bool{}
	for range 8 {
		a := ask("WEB.shop.internal.", dns.TypeA)
		if len(a.Answer) != 2 || !a.Authoritative {
			t.Fatalf("%v", a)
		}
		first[a.Answer[0].String()] = true
	}
	if len(first) != 2 {
		t.Errorf("addresses do not take turns: %v", first)
	}
	if a := ask("web.shop.internal.", dns.TypeAAAA); a.Rcode != dns.RcodeSuccess || len(a.Answer) != 0 {
		t.Errorf("AAAA: %v", a)
	}
	if a := ask("example.com.", dns.TypeA); a.Rcode != dns.RcodeServerFailure {
		t.Errorf("another zone, with nobody to ask: %v", a)
	}
}

// TestTakeOverLink: a link to what another program keeps is replaced, and what it leads to stays as it is.
func TestTakeOverLink(t *testing.T) {
	dir := t.TempDir()
	stub := filepath.Join(dir, "stub-resolv.conf")
	conf := Conf{Path: filepath.Join(dir, "resolv.conf"), Kept: filepath.Join(dir, "kept")}
	if err := os.WriteFile(stub, []byte("nameserver 127.0.0.53\noptions edns0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(stub, conf.Path); err != nil {
		t.Fatal(err)
	}
	before, err := conf.Before()
	if err != nil || len(before) != 1 || before[0] != "127.0.0.53:53" {
		t.Fatalf("%v, %v", before, err)
	}
	for range 2 {
		if err := conf.TakeOver(); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(conf.Path)
	if err != nil || !strings.Contains(string(b), "nameserver 127.0.0.1\n") || !strings.Contains(string(b), "options edns0") {
		t.Errorf("%s, %v", b, err)
	}
	if b, err := os.ReadFile(stub); err != nil || strings.Contains(string(b), "127.0.0.1\n") {
		t.Errorf("what it led to: %s, %v", b, err)
	}
	if again, err := conf.Before(); err != nil || len(again) != 1 || again[0] != "127.0.0.53:53" {
		t.Errorf("after a restart: %v, %v", again, err)
	}
}
