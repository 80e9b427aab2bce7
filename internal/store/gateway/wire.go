package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// Headers that name the caller.
const (
	farmHeader     = "Farmhand-Farm"
	instanceHeader = "Farmhand-Instance"
)

// maxBody is the largest request: the largest value in base64, and the rest.
const maxBody = store.MaxValue*4/3 + 16<<10

// A page of a list ends with the first of these; its reader asks for the next one.
const (
	pageEntries = 100
	pageBytes   = 1 << 20
)

// maxAnswer is the largest answer: a page whose last value made it too long, in base64.
const maxAnswer = (pageBytes+store.MaxValue)*4/3 + pageEntries*2*store.MaxKey + 64<<10

type getRequest struct {
	Key string `json:"key"`
}

type entry struct {
	Key      string         `json:"key"`
	Value    []byte         `json:"value"`
	Revision store.Revision `json:"revision"`
}

type listRequest struct {
	Prefix  string `json:"prefix"`
	After   string `json:"after,omitempty"`
	Limit   int    `json:"limit,omitempty"`
	Reverse bool   `json:"reverse,omitempty"`
}

type listAnswer struct {
	Entries []entry `json:"entries"`
	Next    string  `json:"next,omitempty"` // not empty: there may be more after this key
}

// writeRequest is a put or, without a value, a delete.
type writeRequest struct {
	Key     string          `json:"key"`
	Value   []byte          `json:"value,omitempty"`
	Absent  bool            `json:"absent,omitempty"`
	At      *store.Revision `json:"at,omitempty"`
	Guard   *store.Guard    `json:"guard,omitempty"`
	Expires *time.Time      `json:"expires,omitempty"`
}

func newWriteRequest(key string, value []byte, w store.Write) writeRequest {
	r := writeRequest{Key: key, Value: value, Absent: w.If.IsAbsent(), Guard: w.Guard}
	if at, ok := w.If.Revision(); ok {
		r.At = &at
	}
	if !w.Expires.IsZero() {
		r.Expires = &w.Expires
	}
	return r
}

func (r writeRequest) options() []store.Option {
	opts := []store.Option{store.Guarded(r.Guard)}
	if r.Absent {
		opts = append(opts, store.If(store.Absent()))
	}
	if r.At != nil {
		opts = append(opts, store.If(store.At(*r.At)))
	}
	if r.Expires != nil {
		opts = append(opts, store.Expires(*r.Expires))
	}
	return opts
}

type writeAnswer struct {
	Revision store.Revision `json:"revision,omitempty"`
}

// watchRequest waits until what stands under Prefix is no longer what Cursor stands for, or Wait is over.
type watchRequest struct {
	Prefix string        `json:"prefix"`
	Cursor string        `json:"cursor,omitempty"` // of the last answer; empty: answer at once
	Wait   time.Duration `json:"wait"`
}

type watchAnswer struct {
	Cursor string `json:"cursor"`
}

// errorAnswer goes with every status but 2xx.
type errorAnswer struct {
	Kind  string `json:"kind"`
	Error string `json:"error"`
}

// kinds are the errors that cross the wire and are told apart on the other side. The first that matches counts.
var kinds = []struct {
	name   string
	err    error
	status int
}{
	{"denied", store.ErrDenied, http.StatusForbidden},
	{"invalid", store.ErrInvalid, http.StatusBadRequest},
	{"not found", store.ErrNotFound, http.StatusNotFound},
	{"conflict", store.ErrConflict, http.StatusConflict},
	{"fenced", store.ErrFenced, http.StatusPreconditionFailed},
	{"full", store.ErrFull, http.StatusInsufficientStorage},
	{"damaged", store.ErrDamaged, http.StatusInternalServerError},
	{"incompatible", store.ErrIncompatible, http.StatusInternalServerError},
	{"unavailable", store.ErrUnavailable, http.StatusServiceUnavailable},
	// For the client a sidecar that is going down is one that is away: it waits for the next.
	{"unavailable", store.ErrClosed, http.StatusServiceUnavailable},
	{"unavailable", context.Canceled, http.StatusServiceUnavailable},
	{"unavailable", context.DeadlineExceeded, http.StatusServiceUnavailable},
}

// answerFor is what the client is told of err.
func answerFor(err error) (status int, answer errorAnswer) {
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return k.status, errorAnswer{Kind: k.name, Error: err.Error()}
		}
	}
	return http.StatusInternalServerError, errorAnswer{Kind: "internal", Error: err.Error()}
}

// remoteError is an error that crossed the wire: it reads as it did there, and is what it was there.
type remoteError struct {
	message string
	kind    error // nil: none that anyone tells apart
}

func (e *remoteError) Error() string { return e.message }
func (e *remoteError) Unwrap() error { return e.kind }

func (a errorAnswer) err() error {
	for _, k := range kinds {
		if a.Kind == k.name {
			return &remoteError{a.Error, k.err}
		}
	}
	return &remoteError{a.Error, nil}
}
