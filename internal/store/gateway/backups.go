package gateway

import (
	"context"
	"io"
	"net/http"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/backup/remote"
)

// place serves an instance a place of backups.
func (s *Server) place(open func(ctx context.Context, instance string) (backup.Target, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := s.authenticate(r.Context(), r)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		target, err := open(r.Context(), c.instance)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		remote.Serve(w, r, target)
	}
}

// Backups is the place of the role's backups, through the gateway. It does not try again while the sidecar is away: that is
// backup.Patient's.
func (c *Client) Backups() backup.Target { return c.place("/v1/backups") }

// RestoreSource is where the backups lie that the instance's restore is from, likewise; for reading only, and as long as that is ordered.
func (c *Client) RestoreSource() backup.Target { return c.place("/v1/restore-source") }

func (c *Client) place(at string) backup.Target {
	return &remote.Client{
		HTTP: &http.Client{Transport: c.http.Transport},
		Request: func(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
			return c.request(ctx, method, at+path, body)
		},
	}
}
