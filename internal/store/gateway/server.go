package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// Time limits. A watch is answered within maxWait at the latest, so that a client knows a dead server from a quiet
// one; a call to the store takes milliseconds, or waits for another process's lock.
const (
	maxWait         = 30 * time.Second
	callTimeout     = 10 * time.Second
	writeTimeout    = 30 * time.Second // of an answer, or of one piece of a blob
	shutdownTimeout = 3 * time.Second
)

// maxWatches bounds the watches that one instance has waiting; an agent needs five or so.
const maxWatches = 64

// Options of a Server; the zero value will do.
type Options struct {
	// Policy says what an instance may touch; nil: AgentPolicy.
	Policy Policy
	// OnReport is called after an instance's report was written, from that request's goroutine: it must not block.
	// changed tells that Serving(), Boot.Failed or what decides about a database's primary is not what it was in the
	// former report of the same holder, or that this server sees the holder's first.
	OnReport func(r state.Report, changed bool)
	// Backups opens what an instance may use of where its role's backups lie; nil: there is none. ErrDenied.
	Backups func(ctx context.Context, instance string) (backup.Target, error)
	// RestoreSource opens what an instance's restore is from, for reading; nil: there is none. ErrDenied.
	RestoreSource func(ctx context.Context, instance string) (backup.Target, error)
	// Log is told of refused requests, never of tokens; nil: silent.
	Log *slog.Logger
}

// Server is a farm's gateway: an http.Handler, safe for concurrent use. Serve runs it with its time limits.
type Server struct {
	store   store.Store
	blobs   store.Blobs
	farm    string
	opts    Options
	mux     *http.ServeMux
	reports reports
	refused rate.Sometimes // an ended machine's agent may ask on every two seconds

	closing chan struct{} // ends the watches
	close   func()

	mu      sync.Mutex
	watches map[string]int // waiting, by instance
}

// NewServer serves s and b to the instances of farm. It keeps neither open nor closes them.
func NewServer(s store.Store, b store.Blobs, farm string, opts Options) *Server {
	if opts.Policy == nil {
		opts.Policy = AgentPolicy
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	v := &Server{store: s, blobs: b, farm: farm, opts: opts, mux: http.NewServeMux(),
		refused: rate.Sometimes{First: 3, Interval: 10 * time.Second},
		closing: make(chan struct{}), watches: map[string]int{}}
	v.close = sync.OnceFunc(func() { close(v.closing) })
	v.mux.HandleFunc("POST /v1/get", handle(v, v.get))
	v.mux.HandleFunc("POST /v1/list", handle(v, v.list))
	v.mux.HandleFunc("POST /v1/put", handle(v, v.put))
	v.mux.HandleFunc("POST /v1/delete", handle(v, v.delete))
	v.mux.HandleFunc("POST /v1/watch", handle(v, v.watch))
	v.mux.HandleFunc("GET /v1/blob/{name}", v.blob)
	if opts.Backups != nil {
		v.mux.HandleFunc("/v1/backups/", v.place(opts.Backups))
	}
	if opts.RestoreSource != nil {
		v.mux.HandleFunc("/v1/restore-source/", v.place(opts.RestoreSource))
	}
	return v
}

// HashToken is what stands under state.TokenKey: the token's SHA-256 in hex.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Serve answers on l until ctx ends; then it answers the watches, lets calls that are under way finish, and closes l.
// It returns nil after that, or the error that ended it earlier. A Server serves once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	h := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      maxWait + writeTimeout, // a blob moves its own
		IdleTimeout:       2 * time.Minute,        // longer than the client's, which so is the one to hang up
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelDebug),
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		s.close()
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if h.Shutdown(patience) != nil {
			h.Close()
		}
	})
	err := h.Serve(l)
	if stop() { // ctx has not ended
		h.Close()
		return fmt.Errorf("serving the gateway of farm %s: %w", s.farm, err)
	}
	<-done
	return nil
}

// caller is who makes a request, and what it may touch.
type caller struct {
	instance string
	rights   Rights
}

// authenticate checks the token and asks the policy.
func (s *Server) authenticate(ctx context.Context, r *http.Request) (caller, error) {
	instance := r.Header.Get(instanceHeader)
	if farm := r.Header.Get(farmHeader); farm != s.farm {
		return caller{}, fmt.Errorf("%w: this is the gateway of farm %s, not of %q", store.ErrDenied, s.farm, farm)
	}
	refusal := fmt.Errorf("%w: that is not the token of %q in farm %s", store.ErrDenied, instance, s.farm)
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" || instance == "" || strings.Contains(instance, "/") {
		return caller{}, refusal
	}
	e, err := s.store.Get(ctx, state.TokenKey(s.farm, instance))
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrInvalid) {
		return caller{}, refusal
	}
	if err != nil {
		return caller{}, err
	}
	want := strings.Trim(string(e.Value), "\"\n") // whether or not it was written as JSON
	if subtle.ConstantTimeCompare([]byte(HashToken(token)), []byte(want)) != 1 {
		return caller{}, refusal
	}
	rights, err := s.opts.Policy(ctx, s.store, s.farm, instance)
	return caller{instance, rights}, err
}

// handle makes a call out of an HTTP request: who asks, what for, and the answer in JSON.
func handle[Q, A any](s *Server, do func(ctx context.Context, c caller, q Q) (A, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := s.authenticate(r.Context(), r)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		var q Q
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&q); err != nil {
			s.refuse(w, r, fmt.Errorf("%w request: %w", store.ErrInvalid, err))
			return
		}
		a, err := do(r.Context(), c, q)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		writeJSON(w, http.StatusOK, a)
	}
}

// refuse answers with an error, and tells the log what the caller should not have asked.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, store.ErrDenied) || errors.Is(err, store.ErrInvalid) {
		s.refused.Do(func() {
			s.opts.Log.Warn("gateway refused a request", "farm", s.farm, "instance", r.Header.Get(instanceHeader),
				"from", r.RemoteAddr, "request", r.URL.Path, "error", err)
		})
	}
	status, answer := answerFor(err)
	writeJSON(w, status, answer)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // an error here is a client that has gone
}
