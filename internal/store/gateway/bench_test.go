package gateway

import "testing"

func BenchmarkPut(b *testing.B) {
	f := newFarm(b, Options{Policy: Unrestricted})
	f.start(b)
	c := f.client(b, "web-1")
	value := make([]byte, 1000)
	for b.Loop() {
		if _, err := c.Put(b.Context(), "lamp/a", value); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWatch is from a write by the sidecar to the hint at an agent.
func BenchmarkWatch(b *testing.B) {
	f := newFarm(b, Options{})
	f.start(b)
	hints, err := f.client(b, "web-1").Watch(b.Context(), "lamp/topology")
	if err != nil {
		b.Fatal(err)
	}
	<-hints
	for b.Loop() {
		f.put(b, "lamp/topology", "x")
		<-hints
	}
}
