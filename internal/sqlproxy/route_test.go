package sqlproxy

import (
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestRoutes tells, line by line, where statements go and what they leave in the session.
func TestRoutes(t *testing.T) {
	datadriven.RunTest(t, "testdata/routes.txt", func(t *testing.T, d *datadriven.TestData) string {
		var b strings.Builder
		var c classes
		var scratch []byte
		for _, line := range strings.Split(d.Input, "\n") {
			var k class
			k, scratch = c.of([]byte(line), scratch)
			b.WriteString(k.words() + "\n")
		}
		return b.String()
	})
}

func (k class) words() string {
	where := "primary"
	switch {
	case k.status:
		where = "proxy"
	case k.read:
		where = "replica"
	case k.follow:
		where = "the last"
	}
	if k.mirror {
		where += ", mirrored"
	}
	if k.rollback {
		where += ", rollback"
	}
	if k.pin != "" {
		where += ", pins: " + k.pin
	}
	if k.root != "" && k.root != k.pin {
		where += ", roots: " + k.root
	}
	return where
}

func TestFingerprint(t *testing.T) {
	for in, want := range map[string]string{
		"SELECT  *\n FROM t WHERE a = 'it''s' AND b=1.5e3": "SELECT * FROM t WHERE a = ?? AND b=?",
		"select 1 -- a comment\n, 2":                       "select ?",
		"select a in (1, 2,3 , 'x')":                       "select a in (?)",
		"select `a b`, \"x\\\"y\" # rest":                  "select `a b`, ?",
		"select a--1":                                      "select a--?",
		"select /* c */ 1;":                                "select ?",
		"select 1; select 2":                               "select ? ;select ?",
		"select t1.c2 from t1":                             "select t1.c2 from t1",
	} {
		if got := scan([]byte(in), nil); string(got.fingerprint) != want {
			t.Errorf("scan(%q) = %q, want %q", in, got.fingerprint, want)
		}
	}
	for _, in := range []string{"select 'x", "select /*! 1 */ 2", "select /*+ x */ 1", "select /* x", "select `x"} {
		if !scan([]byte(in), nil).opaque {
			t.Errorf("%q is not opaque", in)
		}
	}
}

// TestClassesBounded: an application that makes up statements without end must not make up memory.
func TestClassesBounded(t *testing.T) {
	var c classes
	var scratch []byte
	for i := range 3 * maxClasses {
		_, scratch = c.of([]byte("select a"+strings.Repeat("x", i%50)+string(rune('a'+i%26))+strings.Repeat("y", i/1300)+" from t"), scratch)
	}
	if len(c.by) > maxClasses {
		t.Errorf("%d kinds of statements are kept", len(c.by))
	}
}

func FuzzScan(f *testing.F) {
	f.Add([]byte("select a from t where b = 'c' -- d"))
	f.Add([]byte("set names utf8mb4; /*!40101 x */"))
	f.Fuzz(func(t *testing.T, sql []byte) {
		var c classes
		k, _ := c.of(sql, nil)
		if again, _ := c.of(sql, nil); again != k {
			t.Errorf("%q is %+v, then %+v", sql, k, again)
		}
		if k.read && (k.pin != "" || k.root != "" || k.set) {
			t.Errorf("%q is a read with traces: %+v", sql, k)
		}
	})
}
