package gateway

import (
	"context"
	"log/slog"
	"net"
	"net/http"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// Options of a Server; the zero value will do.
type Options struct {
	// Policy says what an instance may touch; nil: AgentPolicy.
	Policy Policy
	// OnReport is called after an instance's report was written, from that request's goroutine: it must not block.
	// changed tells that the former report of the same holder differed in Serving() or in Boot.Failed, or that this
	// is the first that the server sees of this holder.
	OnReport func(r state.Report, changed bool)
	// Log is told of refused requests, never of tokens; nil: silent.
	Log *slog.Logger
}

// Server is the farm's gateway: an http.Handler.
type Server struct{}

// NewServer serves s and b to the instances of farm.
func NewServer(s store.Store, b store.Blobs, farm string, opts Options) *Server { return &Server{} }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {}

// Serve answers on l until ctx ends, then shuts down gracefully and closes l. It returns nil after that.
func (s *Server) Serve(ctx context.Context, l net.Listener) error { return nil }

// Policy says what an instance may touch.
type Policy func(ctx context.Context, s store.Store, farm, instance string) (Rights, error)

// Rights are what a request may touch.
type Rights struct {
	Everything bool
	Read       []string // keys
	Write      []string // keys; to put, not to delete
	Blobs      []string // names
}
