package sidecar

import (
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

func TestProtect(t *testing.T) {
	dir, s := declare(t, 1, 4)
	at := func(args ...string) (int, string) {
		code, out, stderr := farmhand(t, append(args, "--state-dir", dir)...)
		return code, out + stderr
	}
	put(t, s, state.InstanceKey("shop", "web-2"), state.Instance{Role: "web", Index: 2, Phase: state.Booting})
	put(t, s, state.InstanceKey("shop", "web-1"), state.Instance{Role: "web", Index: 1, Phase: state.Running, Token: "t1"})
	for _, c := range []struct {
		args string
		want int
		says string
	}{
		{"protect", ExitUsage, "accepts 1 arg"},
		{"protect web", ExitUsage, "is no server"},
		{"protect web-0", ExitUsage, "is no server"},
		{"protect db-1", ExitAbsent, `no role "db"`},
		{"protect web-9", ExitAbsent, "has no server web-9"},
		{"protect web-2", ExitAbsent, "it is booting"},
		{"protect shop/web-1", ExitOK, "is not chosen to leave"},
	} {
		if code, said := at(strings.Fields(c.args)...); code != c.want || !strings.Contains(said, c.says) {
			t.Errorf("farmhand %s: %d, %s", c.args, code, said)
		}
	}
	marked := func() bool {
		in, _, err := store.GetJSON[state.Instance](t.Context(), s, state.InstanceKey("shop", "web-1"))
		if err != nil || in.Token != "t1" {
			t.Fatalf("%+v, %v", in, err)
		}
		return in.Protected
	}
	if !marked() {
		t.Error("it is not marked")
	}
	if code, said := at("protect", "web-1", "--off"); code != ExitOK || marked() {
		t.Errorf("%d, %s", code, said)
	}
}

// TestProtectedServersStay: of three that run, the protected one stays when by hand one is left.
func TestProtectedServersStay(t *testing.T) {
	dir, s := declare(t, 1, 4)
	at := func(args ...string) {
		if code, out, stderr := farmhand(t, append(args, "--state-dir", dir)...); code != 0 {
			t.Fatalf("%v: %d, %s%s", args, code, out, stderr)
		}
	}
	at("scale", "web", "3", "--for", "1h", "--because", "a rehearsal")
	background(t, dir)
	seen(t, dir, "three servers", serving(3))
	at("protect", "web-3") // the newest of equals would go first
	at("scale", "web", "1", "--for", "1h", "--because", "a rehearsal")
	seen(t, dir, "one server", serving(1))
	deadline := time.Now().Add(20 * time.Second)
	for {
		items, err := store.ListJSON[state.Instance](t.Context(), s, state.InstancePrefix("shop"))
		if err != nil {
			t.Fatal(err)
		}
		if len(items) == 1 {
			if in := items[0].Value; in.Index != 3 || !in.Protected {
				t.Errorf("%s stays", in.Name())
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d are left", len(items))
		}
		time.Sleep(50 * time.Millisecond)
	}
}
