package mysql

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/authority"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// reloading counts how often a server is told to read its certificate.
type reloading struct {
	fake
	times  atomic.Int32
	broken atomic.Bool
}

func (r *reloading) ReloadTLS(context.Context) error {
	r.times.Add(1)
	if r.broken.Load() {
		return errors.New("the server is busy")
	}
	return nil
}

func TestCertificatesAreRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &lockedBuffer{}
		r := newRunner(behavior.Instance{Assignment: state.Assignment{Farm: "shop", Role: database, Index: 1, Address: "10.0.0.7", Zone: "shop.internal"},
			Root: t.TempDir(), Output: out})
		r.volume.owner, _ = self()
		shown := func() string {
			b, err := os.ReadFile(r.Certificate)
			if err != nil {
				t.Fatal(err)
			}
			pair, err := tls.X509KeyPair(b, b)
			if err != nil {
				t.Fatal(err)
			}
			if now := time.Now(); now.Before(pair.Leaf.NotBefore) || now.After(pair.Leaf.NotAfter.Add(-authority.IdentityLife/2)) {
				t.Errorf("at %s the certificate is good from %s until %s", now, pair.Leaf.NotBefore, pair.Leaf.NotAfter)
			}
			for _, name := range []string{"mysql-1", "primary.mysql.shop.internal", "mysql-1.mysql.shop.internal", "10.0.0.7"} {
				if err := pair.Leaf.VerifyHostname(name); err != nil {
					t.Error(err)
				}
			}
			return pair.Leaf.SerialNumber.String()
		}
		if err := r.certify(t.Context(), time.Now()); err == nil || !strings.Contains(err.Error(), "no certificate authority yet") {
			t.Fatalf("without an authority: %v", err)
		}
		r.input.Secret = map[string]string{authorityKey: authority.New("farmhand shop/mysql", time.Now())}
		if err := r.certify(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		first := shown()
		server := &reloading{}
		var s dbserver.Server = server
		r.server.Store(&s)
		ctx, cancel := context.WithCancel(t.Context())
		go r.keepCertificates(ctx)
		time.Sleep(authority.IdentityLife/3 - time.Hour)
		if now := shown(); now != first {
			t.Errorf("a certificate was made anew before it was due")
		}
		told := server.times.Load()
		server.broken.Store(true)
		time.Sleep(2 * time.Hour)
		second := shown()
		if second == first || server.times.Load() <= told {
			t.Errorf("certificate %s became %s; the server was told %d times", first, second, server.times.Load()-told)
		}
		if n := strings.Count(out.String(), "the server is busy"); n != 1 {
			t.Errorf("that the server does not take it over was said %d times", n)
		}
		server.broken.Store(false)
		time.Sleep(2 * lookAtCertificate)
		told = server.times.Load()
		time.Sleep(authority.IdentityLife / 6)
		if now := shown(); now != second || server.times.Load() != told {
			t.Errorf("the server took certificate %s over and was told another %d times of %s", second, server.times.Load()-told, now)
		}
		time.Sleep(2 * authority.IdentityLife)
		if shown() == second {
			t.Error("the second certificate was not renewed")
		}
		cancel()
		synctest.Wait()
	})
}
