package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// watch answers when what the caller may see under the prefix differs from what its cursor stands for. A cursor is a
// hash of keys and revisions, so the server keeps nothing between two requests: a client that comes back after a
// second, or to another sidecar, misses no change and is not told of one that never was.
func (s *Server) watch(ctx context.Context, c caller, q watchRequest) (watchAnswer, error) {
	if !c.rights.mayRead(q.Prefix) {
		return watchAnswer{}, denied(c, "watch", q.Prefix)
	}
	leave, err := s.enter(c)
	if err != nil {
		return watchAnswer{}, err
	}
	defer leave()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hints, err := s.store.Watch(ctx, q.Prefix)
	if err != nil {
		return watchAnswer{}, err
	}
	over := time.NewTimer(min(max(q.Wait, 0), maxWait))
	defer over.Stop()
	for {
		select {
		case _, open := <-hints: // the first comes at once
			if !open {
				return watchAnswer{}, store.ErrClosed
			}
			cursor, err := s.cursor(ctx, c, q.Prefix)
			if err != nil || cursor != q.Cursor {
				return watchAnswer{cursor}, err
			}
		case <-over.C:
			return watchAnswer{q.Cursor}, nil
		case <-s.closing:
			return watchAnswer{}, store.ErrClosed
		case <-ctx.Done():
			return watchAnswer{}, ctx.Err()
		}
	}
}

// enter counts a waiting request of the caller; leave ends that.
func (s *Server) enter(c caller) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watches[c.instance] >= maxWatches {
		return nil, fmt.Errorf("%w: %s has %d watches waiting already", store.ErrUnavailable, c.instance, maxWatches)
	}
	s.watches[c.instance]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.watches[c.instance]--; s.watches[c.instance] == 0 {
			delete(s.watches, c.instance)
		}
	}, nil
}

// cursor stands for what the caller may see under prefix.
func (s *Server) cursor(ctx context.Context, c caller, prefix string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	hash := sha256.New()
	for after := ""; ; {
		page, err := s.store.List(ctx, prefix, store.After(after), store.Limit(pageEntries))
		if err != nil {
			return "", err
		}
		for _, e := range page {
			if c.rights.mayRead(e.Key) {
				_, _ = fmt.Fprintf(hash, "%s\x00%d\x00", e.Key, e.Revision)
			}
		}
		if len(page) < pageEntries {
			return base64.RawURLEncoding.EncodeToString(hash.Sum(nil)[:16]), nil
		}
		after = page[len(page)-1].Key
	}
}
