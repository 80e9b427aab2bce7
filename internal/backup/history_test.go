package backup_test

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
)

// at is a moment of the tests' day.
func at(minute int) time.Time { return began.Add(time.Duration(minute) * time.Minute) }

// number is a transaction's, which restored servers count from a million on: "r5".
func number(s string) uint64 {
	rest, restored := strings.CutPrefix(s, "r")
	n, err := strconv.ParseUint(rest, 10, 64)
	if err != nil {
		panic(err)
	}
	if restored {
		n += backup.Era
	}
	return n
}

// stored reads what lies in a place, in words: "full 10@3" holds up to transaction 10 and shows minute 3; "log 11-20@3-5" holds those,
// committed from minute 3 to 5; "log @3-5" does not tell.
func stored(text string) (fulls []backup.Manifest, logs []backup.Log) {
	for i, f := range strings.Split(text, ", ") {
		what, rest, _ := strings.Cut(f, " ")
		span, minutes, _ := strings.Cut(rest, "@")
		first, last, _ := strings.Cut(minutes, "-")
		minute := func(s string) time.Time { n, _ := strconv.Atoi(s); return at(n) }
		if what == "full" {
			m := backup.Manifest{ID: "f" + first, Began: minute(first).Add(-time.Second), Ended: minute(first)}
			if span != "" {
				m.Position = fmt.Sprintf("0-1-%d", number(span))
			}
			fulls = append(fulls, m)
			continue
		}
		l := backup.Log{First: minute(first), Last: minute(last), Server: "mysql-1.7", File: fmt.Sprintf("bin.%06d", i)}
		if begin, end, ok := strings.Cut(span, "-"); ok {
			l.Begin, l.End = number(begin), number(end)
			l.Position = fmt.Sprintf("0-7-%d", l.End)
		}
		logs = append(logs, l)
	}
	return fulls, logs
}

func told(h backup.History) string {
	minute := func(t time.Time) string { return strconv.Itoa(int(t.Sub(began) / time.Minute)) }
	var parts []string
	for _, s := range h.Spans {
		p := fmt.Sprintf("%s-%s of %s", minute(s.From), minute(s.To), strings.Join(s.Backups, "+"))
		if s.Assumed {
			p += " perhaps"
		}
		parts = append(parts, p)
	}
	for _, g := range h.Gaps {
		p := fmt.Sprintf("lacks %d-%d@%s-%s", g.First, g.Last, minute(g.From), minute(g.To))
		if g.Restored {
			p = fmt.Sprintf("restored@%s-%s", minute(g.From), minute(g.To))
		}
		parts = append(parts, p)
	}
	return strings.Join(parts, "; ")
}

// TestHistory: what of a place can be restored, by what the names there tell.
func TestHistory(t *testing.T) {
	for text, want := range map[string]string{
		"full 10@3":                              "3-3 of f3",
		"log 1-20@1-5":                           "",
		"full 10@3, log 11-20@4-5":               "3-5 of f3",
		"full 10@3, log 5-20@2-5, log 21-30@6-9": "3-9 of f3",
		"full 10@3, log 11-20@4-5, full 20@500, log 21-21@500-900":            "3-900 of f3+f500", // ten hours of idleness
		"full 10@3, log 11-20@4-5, log 31-40@8-9":                             "3-5 of f3; lacks 21-30@5-8",
		"full 10@3, log 12-20@4-5":                                            "3-3 of f3; lacks 11-11@3-4",
		"full 10@3, log 11-20@4-5, log 31-40@8-9, full 35@9, log 41-50@10-11": "3-5 of f3; 9-11 of f9; lacks 21-30@5-8",
		"full 10@3, log 11-20@4-5, full 25@6, log 31-40@8-9":                  "3-5 of f3; 6-6 of f6; lacks 21-30@5-8",
		// A failover: the next primary stores what the former one had stored, too.
		"full 10@3, log 11-30@4-6, log 8-25@2-5, log 26-44@5-8": "3-8 of f3",
		// The oldest backup is what is kept: what lacks before it is of no interest.
		"log 1-4@1-1, log 9-20@2-5, full 10@3": "3-5 of f3",
		// More was written since the last log was stored.
		"full 10@3, log 11-20@4-5, full 35@9": "3-5 of f3; 9-9 of f9",
		// A restore to what transaction 15 left, and a backup after it.
		"full 10@3, log 11-40@4-9, full r0@12, log r0-r5@11-14": "3-9 of f3; 12-14 of f12; restored@9-11",
		"full 10@3, log 11-40@4-9, full r3@12, log r2-r5@11-14": "3-9 of f3; 12-14 of f12; lacks 41-1000001@9-11",
		// Logs of an earlier version, which do not tell: no gap is named that they may fill.
		"full 10@3, log @4-5, log 21-30@6-7":       "3-7 of f3 perhaps",
		"full 10@300, log @4-5, log 21-30@406-407": "300-300 of f300; lacks 11-20@300-406",
		"full 10@3, log @4-5":                      "3-3 of f3",
		"full @3, log 11-20@4-5":                   "",
	} {
		fulls, logs := stored(text)
		if got := told(backup.NewHistory(fulls, logs)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
	}
}

// TestCrossed: a restore up to the gap is none of its business.
func TestCrossed(t *testing.T) {
	fulls, logs := stored("full 10@3, log 11-20@4-5, log 31-40@8-9")
	restored, after := stored("full 10@3, log 11-20@4-5, log r0-r9@8-9")
	for name, c := range map[string]struct {
		m      backup.Manifest
		logs   []backup.Log
		until  time.Time
		number uint64
		want   bool
	}{
		"as far as it goes":     {fulls[0], logs, time.Time{}, 0, true},
		"before it":             {fulls[0], logs, at(5), 0, false},
		"into it":               {fulls[0], logs, at(6), 0, true},
		"behind it":             {fulls[0], logs, at(9), 0, true},
		"its last transaction":  {fulls[0], logs, time.Time{}, 20, false},
		"one in it":             {fulls[0], logs, time.Time{}, 21, true},
		"one behind it":         {fulls[0], logs, time.Time{}, 35, true},
		"without a gap":         {fulls[0], logs[:1], time.Time{}, 0, false},
		"to before the restore": {restored[0], after, at(7), 0, false},
		"across the restore":    {restored[0], after, at(9), 0, true},
		"of a position unknown": {backup.Manifest{ID: "x"}, logs, time.Time{}, 0, false},
	} {
		if g := backup.Crossed(c.m, c.logs, c.until, c.number); (g != nil) != c.want {
			t.Errorf("%s: %v", name, g)
		}
	}
	if g := backup.Crossed(fulls[0], logs, time.Time{}, 0); g.String() != "transactions 21 to 30, from between 2026-03-02 03:05:00 and 2026-03-02 03:08:00, are in no stored binary log" {
		t.Errorf("%s", g)
	}
}

// TestLogNames: the name tells what the log holds, and a name of an earlier version is still read.
func TestLogNames(t *testing.T) {
	c := catalog(t)
	_, logs := stored("log 11-20@4-5, log @6-7")
	logs[1].File = "my_log.000007"
	for _, l := range logs {
		if err := c.StoreLog(t.Context(), l, backup.Key{}, func(w io.Writer) error { _, err := io.WriteString(w, "x"); return err }); err != nil {
			t.Fatal(err)
		}
	}
	objects, err := c.Target.List(t.Context(), "shop/mysql/log/")
	if err != nil || len(objects) != 2 || !strings.HasSuffix(objects[0].Name, "_mysql-1.7_bin.000000_11-0-7-20") || !strings.HasSuffix(objects[1].Name, "_mysql-1.7_my_log.000007") {
		t.Fatalf("%v, %v", objects, err)
	}
	got, err := c.Logs(t.Context(), time.Time{})
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	for i := range got {
		if got[i].Size = 0; got[i] != logs[i] {
			t.Errorf("%+v became %+v", logs[i], got[i])
		}
	}
	if r, err := c.OpenLog(t.Context(), got[0], backup.Key{}); err != nil {
		t.Error(err)
	} else {
		r.Close()
	}
}
