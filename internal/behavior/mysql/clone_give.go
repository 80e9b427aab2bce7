package mysql

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// A clone is asked for by HTTPS from the agent of a server that has the data, and comes as mariabackup's stream or, of MySQL, as tar. Both
// show a certificate of the role's authority. Who asks proves besides that it knows the role's clone key; who answers proves it at the
// end, together with a hash of all it gave, so that a stream that was cut short is none.
const (
	clonePort = 4444
	clonePath = "/clone"

	timeHeader  = "X-Farmhand-Time"  // unix seconds
	nonceHeader = "X-Farmhand-Nonce" // a new one each time
	proofHeader = "X-Farmhand-Proof"
	bytesHeader = "X-Farmhand-Bytes" // that the data takes at the source
	endTrailer  = "X-Farmhand-End"
	// flavorHeader is whose data it is; MariaDB's where it is missing.
	flavorHeader = "X-Farmhand-Flavor"

	// proofAge is how far the clocks of two servers may be apart, and how long a nonce is remembered.
	proofAge = 2 * time.Minute
	// chunk is what is copied at once: what an agent of 25 MB has to spare.
	chunk = 64 << 10
)

// proof is what who knows the key can make of the parts.
func proof(key string, parts ...string) string {
	h := hmac.New(sha256.New, []byte(key))
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// giver gives clones away, one at a time.
type giver struct {
	*runner
	mu     sync.Mutex
	nonces map[string]time.Time
}

func (r *runner) giver() http.Handler {
	g := &giver{runner: r, nonces: map[string]time.Time{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+clonePath, g.give)
	return mux
}

// giveClones serves until ctx ends.
func (r *runner) giveClones(ctx context.Context) {
	server := &http.Server{Handler: r.giver(), ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 8 << 10, ErrorLog: log.New(complaints{r}, "", 0),
		BaseContext: func(net.Listener) context.Context { return ctx }}
	defer server.Close()
	context.AfterFunc(ctx, func() { server.Close() })
	for said := false; ctx.Err() == nil; {
		l, err := net.Listen("tcp", net.JoinHostPort(r.Assignment.Address, strconv.Itoa(clonePort)))
		if err == nil {
			err = server.Serve(tls.NewListener(l, r.certificates.server()))
		}
		if ctx.Err() != nil {
			return
		}
		if !said {
			r.say("clones cannot be given away: %v", err)
			said = true
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Second):
		}
	}
}

// complaints prints what a server of the library has to say, such as of a handshake that failed.
type complaints struct{ *runner }

func (s complaints) Write(b []byte) (int, error) {
	s.say("clones: %s", bytes.TrimSpace(b))
	return len(b), nil
}

// admit tells why a request is refused.
func (g *giver) admit(q *http.Request, key string, now time.Time) error {
	at, nonce := q.Header.Get(timeHeader), q.Header.Get(nonceHeader)
	want := proof(key, "clone", g.Assignment.Farm, g.Assignment.Role.Name, at, nonce)
	if key == "" || !hmac.Equal([]byte(want), []byte(q.Header.Get(proofHeader))) {
		return errors.New("that is no proof of this role's clone key")
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if age := now.Sub(time.Unix(seconds, 0)); err != nil || age > proofAge || age < -proofAge {
		return fmt.Errorf("it was asked for at %s by the asker's clock, which is too far from %d by this one's", at, now.Unix())
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for n, t := range g.nonces {
		if now.Sub(t) > 2*proofAge {
			delete(g.nonces, n)
		}
	}
	if _, used := g.nonces[nonce]; used || len(nonce) < 16 {
		return errors.New("that was asked for before")
	}
	g.nonces[nonce] = now
	return nil
}

func (g *giver) give(w http.ResponseWriter, q *http.Request) {
	key := g.secret(cloneKey)
	if err := g.admit(q, key, time.Now()); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	if _, err := g.started(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	if !g.busy.TryLock() {
		http.Error(w, "another clone is being given away", http.StatusTooManyRequests)
		return
	}
	defer g.busy.Unlock()
	if err := g.flavor.mayGive(g.runner); err != nil {
		http.Error(w, err.Error(), http.StatusInsufficientStorage)
		return
	}
	g.runner.mu.Lock()
	g.office.shared = true
	g.runner.mu.Unlock()
	w.Header().Set(bytesHeader, strconv.FormatInt(g.volume.size(), 10))
	w.Header().Set(flavorHeader, g.flavor.name())
	w.Header().Set("Trailer", endTrailer)
	w.Header().Set("Content-Type", "application/octet-stream")
	sum := sha256.New()
	if err := g.flavor.give(q.Context(), g.runner, io.MultiWriter(flushing{w}, sum)); err != nil {
		g.say("giving a clone to %s: %v", q.RemoteAddr, err)
		panic(http.ErrAbortHandler) // so that the asker sees a stream cut short
	}
	w.Header().Set(endTrailer, proof(key, "end", q.Header.Get(nonceHeader), hex.EncodeToString(sum.Sum(nil))))
}

// flushing sends on what is written at once.
type flushing struct{ http.ResponseWriter }

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.ResponseWriter.Write(p)
	if err == nil {
		err = http.NewResponseController(f.ResponseWriter).Flush()
	}
	return n, err
}
