package gateway

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// These tests run in virtual time: connections are pipes, so that nothing waits for a kernel.

// pipes is a listener, and the network that leads to it.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
	dials  atomic.Int32
}

func newPipes() *pipes {
	p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	var once atomic.Bool
	p.close = func() {
		if once.CompareAndSwap(false, true) {
			close(p.closed)
		}
	}
	return p
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.close(); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	p.dials.Add(1)
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// network lets a test change what a client reaches.
type network struct{ atomic.Pointer[pipes] }

func (n *network) client(t *testing.T) *Client {
	c := NewClient("gateway:1", "lamp", "web-1", token("web-1"))
	c.dial = func(ctx context.Context, a, b string) (net.Conn, error) { return n.Load().dial(ctx, a, b) }
	t.Cleanup(func() { c.Close() })
	return c
}

// up starts a server on a store that other servers may have served before.
func (n *network) up(t *testing.T, f *farm) {
	f.server = NewServer(f.store, f.blobs, "lamp", f.server.opts)
	p := newPipes()
	f.serve(t, p)
	n.Store(p)
}

func TestCallsWaitForTheSidecar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, n := newFarm(t, Options{Policy: Unrestricted}), new(network)
		n.up(t, f)
		c := n.client(t)
		if _, err := c.Put(t.Context(), "lamp/a", []byte("1")); err != nil {
			t.Fatal(err)
		}
		f.stop()
		go func() {
			time.Sleep(time.Minute)
			n.up(t, f)
		}()
		start := time.Now()
		if _, err := c.Put(t.Context(), "lamp/a", []byte("2"), store.If(store.At(mustGet(t, f.store, "lamp/a").Revision))); err != nil {
			t.Errorf("put while the sidecar was away: %v", err)
		}
		if waited := time.Since(start); waited < time.Minute || waited > time.Minute+3*time.Second {
			t.Errorf("it was done after %s, want soon after a minute", waited)
		}
		if got := string(mustGet(t, c, "lamp/a").Value); got != "2" {
			t.Errorf("got %q, want 2", got)
		}
	})
}

func mustGet(t *testing.T, s store.Store, key string) store.Entry {
	t.Helper()
	e, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestCallsGiveUpWithTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(network)
		n.Store(newPipes())
		n.Load().close()
		c := n.client(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		_, err := c.Get(ctx, "lamp/a")
		if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got error %v, want ErrUnavailable and DeadlineExceeded", err)
		}
		if !strings.Contains(err.Error(), "gateway:1") || !strings.Contains(err.Error(), "refused") {
			t.Errorf("the error tells neither address nor cause: %v", err)
		}
		if waited := time.Since(start); waited != time.Minute {
			t.Errorf("it gave up after %s, want a minute", waited)
		}
		// From a tenth of a second to two, give or take half: not a storm, and not asleep either.
		if dials := n.Load().dials.Load(); dials < 20 || dials > 80 {
			t.Errorf("it tried %d times in a minute", dials)
		}
		if _, err := c.Watch(ctx, "lamp/a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("watch: got error %v, want DeadlineExceeded", err)
		}
	})
}

// A sidecar that is stopped (SIGSTOP, a machine asleep) takes connections and says nothing.
func TestSilentSidecar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(network)
		n.Store(newPipes())
		silent := n.Load()
		go func() {
			for {
				c, err := silent.Accept()
				if err != nil {
					return
				}
				go func() {
					for b := make([]byte, 1024); ; {
						if _, err := c.Read(b); err != nil {
							return
						}
					}
				}()
			}
		}()
		c := n.client(t)
		f := newFarm(t, Options{Policy: Unrestricted})
		time.AfterFunc(5*time.Second, func() {
			n.up(t, f)
			silent.close()
		})
		if _, err := c.Put(t.Context(), "lamp/a", []byte("1")); err != nil {
			t.Errorf("put: %v", err)
		}
	})
}

func TestWatchOutlivesTheSidecar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, n := newFarm(t, Options{Policy: Unrestricted}), new(network)
		n.up(t, f)
		hints, err := n.client(t).Watch(t.Context(), "lamp/topology")
		if err != nil {
			t.Fatal(err)
		}
		<-hints // the first
		want := func(hint bool, of string) {
			t.Helper()
			time.Sleep(5 * time.Minute) // many polls
			synctest.Wait()
			if got := len(hints) > 0; got != hint {
				t.Fatalf("%s: hint: %v, want %v", of, got, hint)
			}
			if hint {
				<-hints
			}
		}
		want(false, "nothing happens")
		f.put(t, "lamp/topology", "1")
		want(true, "a change")
		want(false, "nothing happens")
		f.stop()
		want(false, "the sidecar goes")
		n.up(t, f)
		want(false, "it is back, and nothing changed")
		f.stop()
		f.put(t, "lamp/topology", "2")
		want(false, "a change while it is away")
		n.up(t, f)
		want(true, "it is back after a change")
		if err := f.store.Delete(t.Context(), "lamp/topology"); err != nil {
			t.Fatal(err)
		}
		want(true, "a delete")
	})
}

// The server's limit on the time that a request may take to arrive is shorter than a watch waits.
func TestWatchWaitsItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, n := newFarm(t, Options{}), new(network)
		n.up(t, f)
		w := watch{client: n.client(t), prefix: "lamp/topology"}
		if err := w.poll(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			start, before := time.Now(), w.cursor
			if err := w.poll(t.Context(), time.Hour); err != nil || w.cursor != before {
				t.Errorf("nothing changed: got cursor %s after %s, error %v", w.cursor, before, err)
			}
			if took := time.Since(start); took != pollWait {
				t.Errorf("it waited %s, want %s", took, pollWait)
			}
		}
	})
}

// "web-1" begins "web-10", which is not web-1's business.
func TestWatchIsBlindForWhatMayNotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, n := newFarm(t, Options{}), new(network)
		n.up(t, f)
		hints, err := n.client(t).Watch(t.Context(), "lamp/assignment/web-1")
		if err != nil {
			t.Fatal(err)
		}
		<-hints
		f.put(t, "lamp/assignment/web-10", "{}")
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(hints) > 0 {
			t.Fatal("a hint of another's assignment")
		}
		f.put(t, "lamp/assignment/web-1", "{}")
		<-hints
	})
}

func TestWatchBeganWhileTheSidecarWasAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, n := newFarm(t, Options{Policy: Unrestricted}), new(network)
		n.Store(newPipes())
		n.Load().close()
		hints, err := n.client(t).Watch(t.Context(), "lamp/topology")
		if err != nil {
			t.Fatal(err)
		}
		<-hints // the first comes all the same: whoever lists now learns that nobody is there
		n.up(t, f)
		select {
		case <-hints:
		case <-time.After(time.Minute):
			t.Error("no hint when the sidecar came: what it has may be news")
		}
	})
}

// The right to see a prefix may end, as a token's time does: the watcher is to learn of it by listing.
func TestWatchTellsOfALostRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, n := newFarm(t, Options{}), new(network)
		n.up(t, f)
		hints, err := n.client(t).Watch(t.Context(), "lamp/topology")
		if err != nil {
			t.Fatal(err)
		}
		<-hints
		f.put(t, "lamp/token/web-1", HashToken("another"))
		select {
		case <-hints:
		case <-time.After(time.Minute):
			t.Error("no hint")
		}
	})
}

// Shutting down waits for no watch to run out.
func TestServeEndsAtOnceWhileSomebodyWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, n := newFarm(t, Options{Policy: Unrestricted}), new(network)
		n.up(t, f)
		c := n.client(t)
		if _, err := c.Watch(t.Context(), "lamp/topology"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		start := time.Now()
		f.stop()
		if took := time.Since(start); took > time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

func TestTooManyWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, n := newFarm(t, Options{}), new(network)
		n.up(t, f)
		c := n.client(t)
		ctx, cancel := context.WithCancel(t.Context())
		for range maxWatches {
			if _, err := c.Watch(ctx, "lamp/topology"); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		over := watch{client: c, prefix: "lamp/topology"}
		if err := over.poll(t.Context(), time.Minute); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("one watch too many: got error %v, want ErrUnavailable", err)
		}
		cancel()
		synctest.Wait()
		if err := over.poll(t.Context(), time.Minute); err != nil {
			t.Errorf("after the others ended: %v", err)
		}
	})
}

// losing serves the gateway, and breaks the connection instead of answering as long as told.
type losing struct {
	http.Handler
	answers atomic.Int32 // to lose
	calls   atomic.Int32
}

func (l *losing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.calls.Add(1)
	if l.answers.Add(-1) < 0 {
		l.Handler.ServeHTTP(w, r)
		return
	}
	l.Handler.ServeHTTP(discard{http.Header{}}, r)
	panic(http.ErrAbortHandler)
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// A write that may have happened is repeated only where that does no harm.
func TestLostAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, n := newFarm(t, Options{Policy: Unrestricted}), new(network)
		l := &losing{Handler: f.server}
		p := newPipes()
		n.Store(p)
		h := &http.Server{Handler: l}
		go func() { _ = h.Serve(p) }()
		defer h.Close()
		c := n.client(t)

		l.answers.Store(2)
		if _, err := c.Put(t.Context(), "lamp/a", []byte("1")); err != nil || l.calls.Swap(0) != 3 {
			t.Errorf("a plain put whose first two answers are lost: error %v", err)
		}
		l.answers.Store(1)
		_, err := c.Put(t.Context(), "lamp/b", []byte("1"), store.If(store.Absent()))
		if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrConflict) || l.calls.Swap(0) != 1 {
			t.Errorf("a conditional put whose answer is lost: got error %v after %d calls, want ErrUnavailable after one", err, l.calls.Load())
		}
		if got := string(mustGet(t, c, "lamp/b").Value); got != "1" {
			t.Errorf("it had been written, yet there is %q", got)
		}
		_, err = c.Put(t.Context(), "lamp/b", []byte("2"), store.If(store.Absent()))
		if !errors.Is(err, store.ErrConflict) {
			t.Errorf("got error %v, want ErrConflict", err)
		}
	})
}

// Something else may listen where the gateway was.
func TestAnotherProgramAtTheAddress(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"a page":        func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"an error page": func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no such page", http.StatusNotFound) },
		"JSON": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			_, _ = w.Write([]byte("{}"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := new(network)
				n.Store(newPipes())
				h := &http.Server{Handler: answer}
				go func() { _ = h.Serve(n.Load()) }()
				defer h.Close()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if _, err := n.client(t).Get(ctx, "lamp/a"); !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("got error %v, want ErrUnavailable", err)
				}
			})
		})
	}
}
