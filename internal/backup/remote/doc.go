// Package remote carries a backup.Target over HTTP: from instances that cannot reach it themselves to the farm's gateway.
//
// A stream that breaks off is a request without its end, and stores nothing. Who may ask is not decided here.
package remote

import (
	"errors"
	"net/http"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
)

// kinds are the errors that cross the wire by name.
var kinds = []struct {
	name   string
	err    error
	status int
}{
	{"not-found", backup.ErrNotFound, http.StatusNotFound},
	{"exists", backup.ErrExists, http.StatusPreconditionFailed},
	{"denied", backup.ErrDenied, http.StatusForbidden},
	{"full", backup.ErrFull, http.StatusInsufficientStorage},
	{"unavailable", backup.ErrUnavailable, http.StatusServiceUnavailable},
}

type answer struct {
	Kind  string `json:"kind,omitempty"`
	Error string `json:"error,omitempty"`
	Size  int64  `json:"size,omitempty"`
}

// remoteError reads as it did there, and is what it was there.
type remoteError struct {
	message string
	kind    error
}

func (e *remoteError) Error() string { return e.message }
func (e *remoteError) Unwrap() error { return e.kind }

func (a answer) err() error {
	for _, k := range kinds {
		if k.name == a.Kind {
			return &remoteError{a.Error, k.err}
		}
	}
	return &remoteError{a.Error, nil}
}

func answerFor(err error) (int, answer) {
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return k.status, answer{Kind: k.name, Error: err.Error()}
		}
	}
	return http.StatusInternalServerError, answer{Kind: "other", Error: err.Error()}
}
