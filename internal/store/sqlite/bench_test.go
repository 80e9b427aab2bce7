package sqlite

import (
	"fmt"
	"testing"
)

func BenchmarkPut(b *testing.B) {
	s := newStore(b, "")
	value := make([]byte, 1000) // a report
	for i := 0; b.Loop(); i++ {
		if _, err := s.Put(b.Context(), fmt.Sprintf("shop/report/web-%d", i%100), value); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	s := newStore(b, "")
	put(b, s, "shop/a")
	for b.Loop() {
		if _, err := s.Get(b.Context(), "shop/a"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkList1000(b *testing.B) {
	s := newStore(b, "")
	for i := range 1000 {
		if _, err := s.Put(b.Context(), fmt.Sprintf("shop/instance/web-%d", i), make([]byte, 500)); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if entries, err := s.List(b.Context(), "shop/instance/"); err != nil || len(entries) != 1000 {
			b.Fatal(len(entries), err)
		}
	}
}

// BenchmarkPoll is what an idle sidecar does ten times a second.
func BenchmarkPoll(b *testing.B) {
	s := newStore(b, "")
	p, err := s.newPoller(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer p.conn.Close()
	for b.Loop() {
		p.poll(b.Context())
	}
}

func BenchmarkOpen(b *testing.B) {
	s := newStore(b, "")
	for i := range 2000 {
		if _, err := s.Put(b.Context(), fmt.Sprintf("shop/event/%d", i), make([]byte, 500)); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		peer, err := Open(b.Context(), s.Path())
		if err != nil {
			b.Fatal(err)
		}
		peer.Close()
	}
}
