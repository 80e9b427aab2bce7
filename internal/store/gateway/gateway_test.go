package gateway

import (
	"context"
	"net"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/dirblobs"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/sqlite"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/storetest"
)

func TestContract(t *testing.T) {
	defer goleak.VerifyNone(t)
	storetest.Run(t, func(t *testing.T) store.Store {
		f := newFarm(t, Options{Policy: Unrestricted})
		f.start(t)
		return f.client(t, "web-1")
	}, storetest.Peer(func(t *testing.T, s store.Store) store.Store {
		c := NewClient(s.(*Client).addr, "lamp", "web-1", token("web-1"))
		t.Cleanup(func() { c.Close() })
		return c
	}))
}

// farm is a store with a gateway before it; web-1 and db-1 have tokens.
type farm struct {
	store  *sqlite.Store
	blobs  *dirblobs.Blobs
	server *Server
	addr   string
	stop   func() // ends the server, and waits for that
}

func newFarm(t testing.TB, opts Options) *farm {
	t.Helper()
	dir := t.TempDir()
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "farmhand.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	b, err := dirblobs.Open(filepath.Join(dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	f := &farm{store: s, blobs: b, server: NewServer(s, b, "lamp", opts)}
	for _, instance := range []string{"web-1", "db-1"} {
		f.put(t, state.TokenKey("lamp", instance), HashToken(token(instance)))
	}
	return f
}

func token(instance string) string { return "secret of " + instance }

// start serves on addr, or on a free port of this machine the first time.
func (f *farm) start(t testing.TB) {
	t.Helper()
	addr := f.addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	f.addr = l.Addr().String()
	f.serve(t, l)
}

func (f *farm) serve(t testing.TB, l net.Listener) {
	ctx, cancel := context.WithCancel(context.Background())
	server, done := f.server, make(chan error, 1)
	go func() { done <- server.Serve(ctx, l) }()
	f.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		done <- nil
	}
	t.Cleanup(f.stop)
}

func (f *farm) client(t testing.TB, instance string) *Client {
	c := NewClient(f.addr, "lamp", instance, token(instance))
	t.Cleanup(func() { c.Close() })
	return c
}

// put writes past the gateway, as the sidecar does.
func (f *farm) put(t testing.TB, key, value string) {
	t.Helper()
	if _, err := f.store.Put(t.Context(), key, []byte(value)); err != nil {
		t.Fatal(err)
	}
}

func (f *farm) putJSON(t testing.TB, key string, v any) {
	t.Helper()
	if _, err := store.PutJSON(t.Context(), f.store, key, v); err != nil {
		t.Fatal(err)
	}
}
