package behaviors

import (
	"slices"
	"testing"
)

func TestEveryNameIsFound(t *testing.T) {
	names := Names()
	if want := []string{"apache", "base", "haproxy", "memcached", "mysql"}; !slices.Equal(names, want) {
		t.Errorf("the behaviors are %v, want %v", names, want)
	}
	for _, name := range names {
		if b, ok := Get(name); !ok || b.Traits().Name != name {
			t.Errorf("%s is listed and not found", name)
		}
	}
	if _, ok := Get("nginx"); ok {
		t.Error("nginx is found, and there is none")
	}
}
