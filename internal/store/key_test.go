package store_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

func TestPrefixEnd(t *testing.T) {
	for prefix, want := range map[string]string{
		"shop/":              "shop0",
		"shop/a":             "shop/b",
		"shop/é":             "shop/ê",
		"shop/\u007f":        "shop/\u0080",
		"shop/\ud7ff":        "shop/\ue000",
		"shop/\U0010ffff":    "shop0",
		"\U0010ffff":         "",
		"a\U0010ffff/\u00ff": "a\U0010ffff/\u0100",
	} {
		if got := store.PrefixEnd(prefix); got != want {
			t.Errorf("PrefixEnd(%q) = %q, want %q", prefix, got, want)
		}
	}
}

// The range is exactly the strings with the prefix.
func TestPrefixEndBoundsThePrefix(t *testing.T) {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("a/b\u007f\u0080\ud7ff\ue000\uffff\U0010ffff")), 0, 4, -1)
	rapid.Check(t, func(t *rapid.T) {
		prefix, key := text.Draw(t, "prefix"), text.Draw(t, "key")
		if rapid.Bool().Draw(t, "with the prefix") {
			key = prefix + key
		}
		end := store.PrefixEnd(prefix)
		inside := key >= prefix && (end == "" || key < end)
		if inside != strings.HasPrefix(key, prefix) {
			t.Fatalf("%q within [%q, %q): %v", key, prefix, end, inside)
		}
	})
}

func TestPartition(t *testing.T) {
	for key, want := range map[string]string{"shop/a/b": "shop", "_/farm/shop": "_", "shop": "shop", "/a": "", "": ""} {
		if got := store.Partition(key); got != want {
			t.Errorf("Partition(%q) = %q, want %q", key, got, want)
		}
	}
}
