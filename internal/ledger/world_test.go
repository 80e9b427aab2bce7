package ledger_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/ledger"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/trace"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/world"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// live lets a role with a target on its load and a schedule live through a day of a shape, and what was decided go
// through a Book into put. Its ticks are two seconds apart, as a sidecar's are.
func live(t testing.TB, kind string, seed uint64, length time.Duration, put func(page *ledger.Page, value []byte)) (ticks int) {
	t.Helper()
	role := spec.Role{Farm: "shop", Name: "web", Behavior: "apache", Min: 2, Max: 12, Environment: map[string]string{"PASSWORD": "secret"}, BootScript: "echo secret"}
	role.SetDefaults()
	target, four := 1.4, 4
	load := spec.Policy{Farm: "shop", Role: "web", Name: "load", Metric: &spec.Metric{Kind: spec.LoadAverage}, Target: &target}
	morning := spec.Policy{Farm: "shop", Role: "web", Name: "morning", Schedule: &spec.Schedule{Cron: "30 8 * * *", Zone: "Europe/Berlin", Duration: spec.Duration(2 * time.Hour), Min: &four}}
	load.SetDefaults()
	morning.SetDefaults()
	var book ledger.Book
	revision := store.Revision(0)
	pilot := &world.Farmhand{Role: role, Policies: []spec.Policy{load, morning}}
	pilot.Decide = func(v engine.View) engine.Outcome {
		ticks++
		v = real(v)
		out := engine.Decide(v)
		for _, page := range book.Tick(v, out) {
			value, err := ledger.Encode(page.Record)
			if err != nil {
				t.Fatal(err)
			}
			put(page, value)
			revision++
			book.Wrote(page, revision, len(value))
		}
		return out
	}
	job := world.Job{
		Options:  world.Options{Tick: 2 * time.Second, Noise: 0.1, BootTime: 40 * time.Second, BootJitter: 0.2, MeanLife: 36 * time.Hour, FailLaunches: 0.05, Seed: seed},
		Trace:    trace.Shape{Kind: kind, Noise: 0.05, Length: length, Seed: seed, Low: 2, High: 12},
		Pilot:    pilot,
		Envelope: world.Envelope{Min: role.Min, Max: role.Max, Line: target, Metric: *load.Metric, Drain: role.Drain.Std()},
	}
	if _, err := world.Run(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	return ticks
}

// real gives tokens, machines and times the look that they have on a real farm, since a record's size depends on it.
func real(v engine.View) engine.View {
	exact := func(t time.Time) time.Time {
		if t.IsZero() {
			return t
		}
		return t.Add(time.Duration(digest(t.Unix(), 0)[0]) * 3_906_251 * time.Nanosecond)
	}
	v.Now = exact(v.Now)
	v.Roles = slices.Clone(v.Roles)
	r := &v.Roles[0]
	r.Generation = "0123456789abcdef"
	r.Instances = slices.Clone(r.Instances)
	for i := range r.Instances {
		in := &r.Instances[i]
		birth := in.Created.Unix()
		in.Generation = r.Generation
		in.Token = hex.EncodeToString(digest(birth, in.Index)[:16])
		in.PlatformID = hex.EncodeToString(digest(birth, -in.Index))
		in.Since, in.Created, in.ServedAt = exact(in.Since), exact(in.Created), exact(in.ServedAt)
		if in.Machine != nil {
			m := *in.Machine
			m.ID, m.Token = in.PlatformID, in.Token
			in.Machine = &m
		}
		if in.Report != nil {
			report := *in.Report
			d := digest(report.At.Unix(), in.Index)
			report.At = v.Now.Add(-time.Duration(binary.BigEndian.Uint32(d)) % (2 * time.Second))
			in.Report = &report
		}
	}
	return v
}

func digest(at int64, index int) []byte {
	b := sha256.Sum256(fmt.Appendf(nil, "%d %d", at, index))
	return b[:]
}

// memory is as much of a store as a ledger needs.
type memory struct {
	store.Store
	keys   []string // sorted
	values map[string][]byte
}

func (m *memory) put(page *ledger.Page, value []byte) {
	key := state.LedgerKey("shop", page.Role, page.Record.ID)
	if m.values == nil {
		m.values = map[string][]byte{}
	}
	if _, ok := m.values[key]; !ok {
		m.keys = append(m.keys, key) // they come in order
	}
	m.values[key] = append([]byte(nil), value...)
}

func (m *memory) Get(_ context.Context, key string) (store.Entry, error) {
	v, ok := m.values[key]
	if !ok {
		return store.Entry{}, store.ErrNotFound
	}
	return store.Entry{Key: key, Value: v}, nil
}

func (m *memory) List(_ context.Context, prefix string, opts ...store.ListOption) ([]store.Entry, error) {
	r := store.NewRange(opts)
	var found []store.Entry
	for i := range m.keys {
		key := m.keys[i]
		if r.Reverse {
			key = m.keys[len(m.keys)-1-i]
		}
		behind := r.After == "" || !r.Reverse && key > r.After || r.Reverse && key < r.After
		if strings.HasPrefix(key, prefix) && behind && (r.Limit == 0 || len(found) < r.Limit) {
			found = append(found, store.Entry{Key: key, Value: m.values[key]})
		}
	}
	return found, nil
}
