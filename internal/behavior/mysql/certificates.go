package mysql

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/authority"
	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver"
)

// lookAtCertificate is how often it is looked whether a new one is due: by the calendar, which goes on while a machine sleeps.
const lookAtCertificate = time.Minute

// certificates are what this server shows to the role's others, and tells them by. Files of it lie in the run directory, for the
// database server and its replication; the agent's own connections, for clones, take it from here.
type certificates struct {
	wake chan struct{}
	// Of Setup, and then of the goroutine of keepCertificates.
	of   string // the authority's text
	told bool   // the database server, if one runs, has read what was issued

	mu     sync.Mutex // held to change issued, and by who else reads it
	issued *authority.Identity
}

var errNoCertificate = errors.New("it has no certificate yet")

// server is for giving clones away; each connection takes the certificate that is in force.
func (c *certificates) server() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.issued == nil {
			return nil, errNoCertificate
		}
		return c.issued.Server(), nil
	}}
}

// client is for asking the server at host for a clone.
func (c *certificates) client(host string) (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.issued == nil {
		return nil, errNoCertificate
	}
	return c.issued.Client(host), nil
}

// keepCertificates renews what this server shows until ctx ends, and at once when the role's authority is another one.
func (r *runner) keepCertificates(ctx context.Context) {
	tick := time.NewTicker(lookAtCertificate)
	defer tick.Stop()
	said := ""
	for {
		if err := r.certify(ctx, time.Now()); err == nil {
			said = ""
		} else if s := err.Error(); s != said && ctx.Err() == nil {
			r.say("%s", s)
			said = s
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-r.certificates.wake:
		}
	}
}

// certify makes a certificate if there is none of the role's authority, or a new one is due, and has the database server take it over.
func (r *runner) certify(ctx context.Context, now time.Time) error {
	text := r.secret(authorityKey)
	if text == "" {
		return errors.New("the role's secret holds no certificate authority yet: the farm's sidecar makes it, of this version or a later one")
	}
	c := &r.certificates
	if c.issued == nil || c.of != text || !now.Before(c.issued.Due) {
		if err := r.issue(text, now); err != nil {
			return fmt.Errorf("making the server's certificate: %w", err)
		}
	}
	s := r.db()
	if c.told || s == nil {
		return nil
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	err := s.ReloadTLS(ctx)
	c.told = err == nil
	return err
}

func (r *runner) issue(text string, now time.Time) error {
	a, err := authority.Parse(text)
	if err != nil {
		return err
	}
	address, err := netip.ParseAddr(r.Assignment.Address)
	if err != nil {
		return fmt.Errorf("the instance's address: %w", err)
	}
	i, err := a.Issue(address, r.hostnames(), now)
	if err != nil {
		return err
	}
	dir := filepath.Dir(r.Certificate)
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.Chown(dir, r.volume.owner.uid, r.volume.owner.gid)); err != nil {
		return err
	}
	for path, content := range map[string][]byte{r.Authority: a.PEM, r.Certificate: i.PEM} {
		if err := writePrivate(path, content, r.volume.owner); err != nil {
			return err
		}
	}
	c := &r.certificates
	c.mu.Lock()
	c.issued = i
	c.mu.Unlock()
	c.of, c.told = text, false
	return nil
}

// tls are the files.
func (r *runner) tls() dbserver.TLS {
	return dbserver.TLS{Authority: r.Authority, Certificate: r.Certificate}
}

// hostnames are the names that this server is, or may come to be, reached by, its own first.
func (r *runner) hostnames() []string {
	names := []string{r.name}
	if zone, role := r.Assignment.Zone, r.Assignment.Role.Name; zone != "" {
		for _, name := range []string{role, r.name + "." + role, "primary." + role, "replicas." + role} {
			names = append(names, name+"."+zone)
		}
	}
	return names
}

// isPlain tells that a server's agent is of a version without TLS.
func (r *runner) isPlain(host string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.office.database != nil && slices.Contains(r.office.database.Plain, host)
}

// writePrivate puts a file in place that who alone reads, whole or not at all.
func writePrivate(path string, content []byte, who owner) error {
	scratch := path + ".new"
	if err := os.Remove(scratch); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(scratch, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(scratch) // gone already if all went well
	_, err = f.Write(content)
	if err := errors.Join(err, f.Chown(who.uid, who.gid), f.Close()); err != nil {
		return err
	}
	return os.Rename(scratch, path)
}
