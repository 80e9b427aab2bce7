package storetest

import (
	"slices"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

func (s *suite) listOrder(t *testing.T) {
	st := s.open(t)
	// By code point, which in UTF-8 is by byte: an order by UTF-16 units would swap the last two, one by language
	// the first.
	want := []string{"shop/-", "shop/0", "shop/10", "shop/9", "shop/Z", "shop/a", "shop/a/b", "shop/aa", "shop/é", "shop/\uffff", "shop/\U00010000"}
	for _, i := range []int{4, 9, 0, 10, 2, 7, 5, 1, 8, 3, 6} {
		mustPut(t, st, want[i], "x")
	}
	wantKeys(t, st, "shop/", want)
	slices.Reverse(want)
	wantKeys(t, st, "shop/", want, store.Reverse())
}

func (s *suite) listPrefix(t *testing.T) {
	st := s.open(t)
	for _, key := range []string{"shop/a%b", "shop/a_b", "shop/aXb", "shop/A%b", `shop/a\b`, "shop/a*b", "shop/a'b",
		"shop/b", "shop/b/", "shop/b/1", "shop/b0", "shop/b\U0010ffff", "shop/b\U0010ffffz", "shop/c",
		"shop/\ud7ff1", "shop/\ue000", "shopping/a", "sho/a"} {
		mustPut(t, st, key, "x")
	}
	for prefix, want := range map[string][]string{
		"shop/a%":          {"shop/a%b"},
		"shop/a_":          {"shop/a_b"},
		`shop/a\`:          {`shop/a\b`},
		"shop/a*":          {"shop/a*b"},
		"shop/a'":          {"shop/a'b"},
		"shop/%":           {},
		"shop/A":           {"shop/A%b"},
		"shop/b/":          {"shop/b/", "shop/b/1"},
		"shop/b":           {"shop/b", "shop/b/", "shop/b/1", "shop/b0", "shop/b\U0010ffff", "shop/b\U0010ffffz"},
		"shop/b\U0010ffff": {"shop/b\U0010ffff", "shop/b\U0010ffffz"},
		"shop/\ud7ff":      {"shop/\ud7ff1"},
		"shop/none":        {},
		"shopping/":        {"shopping/a"},
		"sho/":             {"sho/a"},
		"nobody/":          {},
	} {
		wantKeys(t, st, prefix, want)
	}
}

func (s *suite) listPages(t *testing.T) {
	st, ctx := s.open(t), testContext(t)
	all := numbered("shop/k/%03d", 230) // more than a page of any implementation
	for _, key := range all {
		mustPut(t, st, key, "x")
	}
	mustPut(t, st, "shop/a", "before")
	mustPut(t, st, "shop/z", "behind")

	wantKeys(t, st, "shop/k/", all)
	wantKeys(t, st, "shop/k/", all[:7], store.Limit(7))
	wantKeys(t, st, "shop/k/", all[:150], store.Limit(150))
	wantKeys(t, st, "shop/k/", all[10:210], store.Limit(200), store.After("shop/k/009"))
	backwards := slices.Clone(all)
	slices.Reverse(backwards)
	wantKeys(t, st, "shop/k/", backwards, store.Reverse())
	wantKeys(t, st, "shop/k/", all[4:9], store.Limit(5), store.After("shop/k/003"))
	wantKeys(t, st, "shop/k/", all[4:9], store.Limit(5), store.After("shop/k/003x")) // need not exist
	wantKeys(t, st, "shop/k/", all, store.After("shop/a"))                           // before the prefix
	wantKeys(t, st, "shop/k/", []string{}, store.After("shop/z"))
	wantKeys(t, st, "shop/k/", []string{}, store.After("shop/k/229"))
	wantKeys(t, st, "shop/k/", []string{"shop/k/229", "shop/k/228"}, store.Reverse(), store.Limit(2))
	wantKeys(t, st, "shop/k/", []string{"shop/k/002", "shop/k/001", "shop/k/000"}, store.Reverse(), store.After("shop/k/003"))
	wantKeys(t, st, "shop/k/", []string{}, store.Reverse(), store.After("shop/a"))

	var got []string
	for after := ""; ; {
		page, err := st.List(ctx, "shop/k/", store.After(after), store.Limit(40))
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		got = append(got, keys(page)...)
		after = page[len(page)-1].Key
	}
	if !slices.Equal(got, all) {
		t.Fatalf("page by page:\n got %q\nwant %q", got, all)
	}
}
