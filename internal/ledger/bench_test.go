package ledger_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/ledger"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/trace"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/sqlite"
)

// BenchmarkDayOfAFarm writes a day of eight roles of two to twelve servers, one for each shape of demand, with noise,
// crashes and failing launches, ticks two seconds apart, into a SQLite store, and tells what 100 such roles would take
// in 30 days. The bar is 2 GB. The first day holds more than a later one by what a full tank lets through.
func BenchmarkDayOfAFarm(b *testing.B) {
	for b.Loop() {
		dir := b.TempDir()
		s, err := sqlite.Open(b.Context(), filepath.Join(dir, "farmhand.db"))
		if err != nil {
			b.Fatal(err)
		}
		var plain, ticks, records, writes int
		for i, kind := range trace.Shapes() {
			ticks += live(b, kind, uint64(i+1), 24*time.Hour, func(p *ledger.Page, value []byte) {
				writes++
				if p.Revision == 0 {
					records++
					plain += len(value)
				}
				key := state.LedgerKey("shop", "web-"+kind, p.Record.ID)
				if _, err := s.Put(b.Context(), key, value, store.Expires(p.Record.Until.Add(100*ledger.Kept))); err != nil {
					b.Fatal(err)
				}
			})
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, "farmhand.db"))
		if err != nil {
			b.Fatal(err)
		}
		roles := len(trace.Shapes())
		perDay := float64(info.Size()) / float64(roles)
		b.ReportMetric(perDay/1e3, "KB/role-day")
		b.ReportMetric(perDay*100*30/1e9, "GB/100-roles-30-days")
		b.ReportMetric(float64(records)/float64(roles), "records/role-day")
		b.ReportMetric(float64(plain)/float64(records), "B/record")
		b.ReportMetric(float64(info.Size())/float64(ticks), "B/tick")
		b.ReportMetric(float64(writes)/float64(roles)/1440, "writes/role-min")
	}
}

// BenchmarkExplain asks a ledger of 30 days, of ten roles of some 500 records a day each, what was at a time and why not
// something else, the store opened anew for each question as the command does. The bar is a p99 of 50 ms.
func BenchmarkExplain(b *testing.B) {
	path := filepath.Join(b.TempDir(), "farmhand.db")
	s, err := sqlite.Open(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	var day memory
	live(b, "noisy", 1, 24*time.Hour, day.put)
	prefix := state.LedgerKey("shop", "web", "")
	first, err := ledger.TimeOf(day.keys[0][len(prefix):])
	if err != nil {
		b.Fatal(err)
	}
	rows := 0
	for _, role := range []string{"a", "b", "c", "d", "web", "x", "y", "z"} {
		for d := range 30 {
			for i, key := range day.keys {
				at, err := ledger.TimeOf(key[len(prefix):])
				if err != nil {
					b.Fatal(err)
				}
				shifted := state.LedgerKey("shop", role, ledger.ID(at.AddDate(0, 0, d), i))
				if _, err := s.Put(b.Context(), shifted, day.values[key], store.Expires(time.Now().Add(ledger.Kept))); err != nil {
					b.Fatal(err)
				}
				rows++
			}
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	ask := func(n int, whyNot string) time.Duration {
		began := time.Now()
		s, err := sqlite.Open(b.Context(), path)
		if err != nil {
			b.Fatal(err)
		}
		at := first.Add(time.Hour + time.Duration(n)*1301*time.Second%(29*24*time.Hour))
		r, next, err := ledger.InForce(b.Context(), s, "shop", "web", at)
		if err != nil {
			b.Fatal(err)
		}
		reader := ledger.Reader{Now: time.Now(), Next: next}
		_, _ = io.WriteString(io.Discard, r.Words(reader))
		if whyNot != "" {
			if _, err := r.Ask(whyNot, reader, engine.Decide); err != nil {
				b.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		return time.Since(began)
	}
	for _, whyNot := range []string{"", ledger.ScaleIn} {
		name := "at"
		if whyNot != "" {
			name = "why-not"
		}
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				took = append(took, ask(len(took), whyNot))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1e3, "p99-ms")
			b.ReportMetric(float64(rows), "records")
		})
	}
}

// BenchmarkTick folds a tick of 1,000 roles of ten servers at peace, and packs what is then to be written: what the
// ledger adds to a decision pass.
func BenchmarkTick(b *testing.B) {
	one := view(10)
	v := one
	v.Roles = nil
	for i := range 1000 {
		r := one.Roles[0]
		r.Spec.Name = fmt.Sprintf("web%03d", i)
		r.Instances = slices.Clone(r.Instances)
		v.Roles = append(v.Roles, r)
	}
	var book ledger.Book
	var pages, first int
	var longest time.Duration
	for b.Loop() {
		v.Now = v.Now.Add(2 * time.Second)
		for i := range v.Roles {
			for k := range v.Roles[i].Instances {
				v.Roles[i].Instances[k].Report = &state.Report{At: v.Now, Boot: state.Boot{Done: true}}
			}
		}
		out := engine.Decide(v)
		began := time.Now()
		for _, p := range book.Tick(v, out) {
			value, err := ledger.Encode(p.Record)
			if err != nil {
				b.Fatal(err)
			}
			book.Wrote(p, 1, len(value))
			pages++
		}
		if took := time.Since(began); first == 0 {
			b.ReportMetric(float64(took.Microseconds())/1e3, "first-ms")
			first = pages
		} else {
			longest = max(longest, took)
		}
	}
	b.ReportMetric(float64(longest.Microseconds())/1e3, "longest-ms")
	b.ReportMetric(float64(pages-first)/float64(max(1, b.N-1)), "pages/tick")
}
