package mysql

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
)

// relay stands between two servers as anybody on their network might: it hears everything, and may change it.
type relay struct {
	net.Listener
	to string

	mu    sync.Mutex
	heard bytes.Buffer
	// spoil is after how many bytes of an answer one is changed, 0 for never.
	spoil int64
}

// newRelay listens at an address, host:port, and connects to another one.
func newRelay(t *testing.T, at, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{Listener: l, to: to}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(c)
		}
	}()
	return r
}

func (r *relay) serve(asks net.Conn) {
	defer asks.Close()
	r.mu.Lock()
	to := r.to
	r.mu.Unlock()
	answers, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer answers.Close()
	go func() {
		_, _ = io.Copy(io.MultiWriter(answers, &ear{relay: r}), asks)
		_ = answers.(*net.TCPConn).CloseWrite()
	}()
	e := &ear{relay: r, answers: true}
	b := make([]byte, 64<<10)
	for {
		n, err := answers.Read(b)
		e.change(b[:n])
		_, _ = e.Write(b[:n])
		if _, werr := asks.Write(b[:n]); err != nil || werr != nil {
			return
		}
	}
}

// ear hears one direction of one connection.
type ear struct {
	*relay
	answers bool
	n       int64
}

// change spoils what is about to be passed on.
func (e *ear) change(b []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at := e.spoil - e.n; e.answers && at > 0 && at <= int64(len(b)) {
		b[at-1] ^= 1
	}
}

func (e *ear) Write(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.n += int64(len(b))
	return e.heard.Write(b)
}

// take returns whether text was heard, and how much, since it was asked last.
func (r *relay) take(text string) (heard bool, bytesHeard int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	heard, bytesHeard = bytes.Contains(r.heard.Bytes(), []byte(text)), r.heard.Len()
	r.heard.Reset()
	return heard, bytesHeard
}

// next says where the next connections lead to, and what is done to them.
func (r *relay) next(to string, spoil int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to, r.spoil = to, spoil
	r.heard.Reset()
}
