package gateway

import (
	"context"
	"io"
	"net/http"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/backup/remote"
)

// backups serves an instance the place of its role's backups.
func (s *Server) backups(w http.ResponseWriter, r *http.Request) {
	c, err := s.authenticate(r.Context(), r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	target, err := s.opts.Backups(r.Context(), c.instance)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	remote.Serve(w, r, target)
}

// Backups is the place of the role's backups, through the gateway. It does not try again while the sidecar is away: that is
// backup.Patient's.
func (c *Client) Backups() backup.Target {
	return &remote.Client{
		HTTP: &http.Client{Transport: c.http.Transport},
		Request: func(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
			return c.request(ctx, method, "/v1/backups"+path, body)
		},
	}
}
