package gtid_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/farmhand/terraform-provider-farmhand/internal/gtid"
)

const (
	u1 = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	u2 = "aaaaaaaa-71ca-11e1-9e33-c80aa9429562"
)

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		flavor, a, b string
		want         gtid.Order
		missing      int64 // of b in a
	}{
		{gtid.MariaDB, "", "", gtid.Equal, 0},
		{gtid.MariaDB, "0-11-5", "", gtid.Ahead, 0},
		{gtid.MariaDB, "0-11-5", "0-11-5", gtid.Equal, 0},
		{gtid.MariaDB, "0-11-5", "0-12-9", gtid.Behind, 4},
		{gtid.MariaDB, "0-11-9", "0-12-9", gtid.Diverged, 1}, // one number, two servers
		{gtid.MariaDB, "0-11-9,1-5-2", "1-5-2, 0-11-9", gtid.Equal, 0},
		{gtid.MariaDB, "0-11-9,1-5-2", "0-11-8,1-5-3", gtid.Diverged, 1},
		{gtid.MariaDB, "0-11-9", "0-11-9,\n1-5-3", gtid.Behind, 3},
		{gtid.MariaDB, "0-11-9,0-12-12", "0-12-12", gtid.Equal, 0}, // a binlog state: the latest counts
		{gtid.MySQL, "", "", gtid.Equal, 0},
		{gtid.MySQL, u1 + ":1-5", u1 + ":1-7", gtid.Behind, 2},
		{gtid.MySQL, u1 + ":1-3:4-5", u1 + ":1-5", gtid.Equal, 0},
		{gtid.MySQL, u1 + ":1-5:7", u1 + ":1-6", gtid.Diverged, 1},
		{gtid.MySQL, u1 + ":1-5,\n" + u2 + ":1", strings.ToUpper(u1) + ":1-5", gtid.Ahead, 0},
		{gtid.MySQL, u1 + ":1-5:audit:1-2", u1 + ":1-5", gtid.Ahead, 0}, // 8.4's tags are sources of their own
		{"", u1 + ":1-5", "", gtid.Ahead, 0},
	} {
		got, err := gtid.Compare(c.flavor, c.a, c.b)
		if err != nil || got != c.want {
			t.Errorf("Compare(%q, %q) is %v, %v; want %v", c.a, c.b, got, err, c.want)
		}
		if n, err := gtid.Missing(c.flavor, c.a, c.b); err != nil || n != c.missing {
			t.Errorf("Missing(%q, %q) is %d, %v; want %d", c.a, c.b, n, err, c.missing)
		}
	}
}

func TestMalformed(t *testing.T) {
	for flavor, texts := range map[string][]string{
		gtid.MariaDB: {"0-1", "0-1-x", "a", "0-1-2-3", "0-1--2", u1 + ":1-5"},
		gtid.MySQL:   {"0-1-2", u1, u1 + ":", u1 + ":0", u1 + ":5-1", "xyz:1", u1 + ":1-x"},
	} {
		for _, text := range texts {
			if _, err := gtid.Compare(flavor, text, ""); !errors.Is(err, gtid.ErrMalformed) {
				t.Errorf("%s %q: %v", flavor, text, err)
			}
		}
	}
}

func anyPosition(t *rapid.T, flavor, label string) string {
	var parts []string
	if flavor == gtid.MariaDB {
		for d := range rapid.IntRange(0, 3).Draw(t, label+" domains") {
			parts = append(parts, fmt.Sprintf("%d-%d-%d", d, rapid.IntRange(1, 3).Draw(t, "server"), rapid.IntRange(1, 6).Draw(t, "seq")))
		}
		return strings.Join(parts, ",")
	}
	for range rapid.IntRange(0, 4).Draw(t, label+" intervals") {
		from := rapid.IntRange(1, 8).Draw(t, "from")
		parts = append(parts, fmt.Sprintf("%s:%d-%d", rapid.SampledFrom([]string{u1, u2, u1 + ":tag"}).Draw(t, "source"), from, from+rapid.IntRange(0, 4).Draw(t, "length")))
	}
	return strings.Join(parts, ",")
}

// TestOrder holds the laws of a partial order, and that what is merged is the least that holds both.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		flavor := rapid.SampledFrom([]string{gtid.MariaDB, gtid.MySQL}).Draw(t, "flavor")
		a, b, c := anyPosition(t, flavor, "a"), anyPosition(t, flavor, "b"), anyPosition(t, flavor, "c")
		compare := func(a, b string) gtid.Order {
			o, err := gtid.Compare(flavor, a, b)
			if err != nil {
				t.Fatal(err)
			}
			return o
		}
		covers := func(a, b string) bool { o := compare(a, b); return o == gtid.Equal || o == gtid.Ahead }
		if compare(a, a) != gtid.Equal {
			t.Fatalf("%q is not itself", a)
		}
		mirror := map[gtid.Order]gtid.Order{gtid.Behind: gtid.Ahead, gtid.Ahead: gtid.Behind, gtid.Equal: gtid.Equal, gtid.Diverged: gtid.Diverged}
		if compare(b, a) != mirror[compare(a, b)] {
			t.Fatalf("%q to %q is %v, and %v the other way", a, b, compare(a, b), compare(b, a))
		}
		if covers(a, b) && covers(b, c) && !covers(a, c) {
			t.Fatalf("%q covers %q covers %q, and not the last", a, b, c)
		}
		missing, err := gtid.Missing(flavor, a, b)
		if err != nil || (missing == 0) != covers(a, b) {
			t.Fatalf("%d of %q missing in %q, which covers it: %t (%v)", missing, b, a, covers(a, b), err)
		}
		m, err := gtid.Merge(flavor, a, b)
		if err != nil {
			t.Fatal(err)
		}
		// Of MariaDB's, two servers' transactions of one number cannot both be told.
		if !covers(m, a) || flavor == gtid.MySQL && !covers(m, b) {
			t.Fatalf("%q and %q merged are %q, which does not hold both", a, b, m)
		}
		if covers(c, a) && covers(c, b) && !covers(c, m) {
			t.Fatalf("%q holds %q and %q, but not %q", c, a, b, m)
		}
		p, err := gtid.Parse(flavor, a)
		if err != nil || compare(p.String(), a) != gtid.Equal {
			t.Fatalf("%q reads back as %q: %v", a, p, err)
		}
	})
}
