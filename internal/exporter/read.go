package exporter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/ledger"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// farm is what one reading found of a farm. Records are by the names in their keys.
type farm struct {
	name     string
	declared *state.Declared[spec.Farm] // nil: its name is taken and no more
	roles    map[string]*role
	// servers are the instances' records, and reports those of the present holders of their indexes, by instance.
	servers map[string]state.Instance
	reports map[string]report
	lease   store.LeaseRecord // without a holder: none
	// unreadable counts records that another version may have written.
	unreadable int
}

// role is one that is declared, or that has instances left.
type role struct {
	declared *state.Declared[spec.Role] // nil: not any more
	memory   *state.Memory
	database *state.Database
	backups  *state.Backups
	record   *ledger.Record // the latest, nil for none
}

// report is a state.Report without its samples, which are most of it and not exported.
type report struct {
	state.Report
	Samples ignored `json:"samples"`
}

type ignored struct{}

// UnmarshalJSON implements json.Unmarshaler.
func (*ignored) UnmarshalJSON([]byte) error { return nil }

// shared reads what farms share: their names, one where Options say so, and what sidecars say of themselves.
func (c *Collector) shared(ctx context.Context) (farms []string, alive []state.Alive, err error) {
	prefix := state.FarmIndexKey("")
	entries, err := c.opts.Store.List(ctx, prefix)
	if err != nil {
		return nil, nil, fmt.Errorf("listing the farms: %w", err)
	}
	for _, e := range entries {
		if name := strings.TrimPrefix(e.Key, prefix); c.opts.Farm == "" || c.opts.Farm == name {
			farms = append(farms, name)
		}
	}
	if entries, err = c.opts.Store.List(ctx, state.AlivePrefix()); err != nil {
		return nil, nil, fmt.Errorf("listing the sidecars: %w", err)
	}
	for _, e := range entries {
		var a state.Alive
		if json.Unmarshal(e.Value, &a) == nil {
			a.Holder = strings.TrimPrefix(e.Key, state.AlivePrefix()) // one series for each key
			alive = append(alive, a)
		}
	}
	return farms, alive, nil
}

// read reads one farm. Records that do not decode are counted and passed over; an error is of the store.
func (c *Collector) read(ctx context.Context, name string) (farm, error) {
	f := farm{name: name, roles: map[string]*role{}, servers: map[string]state.Instance{}, reports: map[string]report{}}
	in := reading{ctx, c, &f}
	err := errors.Join(
		in.declarations(),
		list(in, state.InstancePrefix(name), func(server string, i state.Instance) {
			f.servers[server] = i
			f.role(i.Role)
		}),
		list(in, state.ReportPrefix(name), func(server string, r report) {
			if i, ok := f.servers[server]; ok && i.Token == r.Token { // else of the index's former holder
				f.reports[server] = r
			}
		}),
		list(in, state.MemoryPrefix(name), func(role string, m state.Memory) { f.known(role).memory = &m }),
		list(in, state.DatabasePrefix(name), func(role string, d state.Database) { f.known(role).database = &d }),
		list(in, state.BackupsPrefix(name), func(role string, b state.Backups) { f.known(role).backups = &b }),
		list(in, state.LeaseKey(name), func(_ string, l store.LeaseRecord) { f.lease = l }),
	)
	for name, r := range f.roles {
		if r.declared != nil {
			err = errors.Join(err, in.ledger(name, r))
		}
	}
	if err != nil {
		return f, fmt.Errorf("reading farm %s: %w", name, err)
	}
	return f, nil
}

// role is the one of that name, which is there from now on; known is one that is there, or one that nobody looks at.
func (f *farm) role(name string) *role {
	if f.roles[name] == nil {
		f.roles[name] = &role{}
	}
	return f.roles[name]
}

func (f *farm) known(name string) *role {
	if r := f.roles[name]; r != nil {
		return r
	}
	return &role{} // what is left of a role that is gone
}

// reading is one farm's.
type reading struct {
	ctx context.Context
	*Collector
	farm *farm
}

// declarations reads what is declared of the farm and its roles, which is one range.
func (in reading) declarations() error {
	entries, err := in.opts.Store.List(in.ctx, in.farm.name+"/spec/")
	if err != nil {
		return err
	}
	for _, e := range entries {
		role, isRole := strings.CutPrefix(e.Key, state.RolePrefix(in.farm.name))
		switch {
		case e.Key == state.FarmKey(in.farm.name):
			if d, ok := decode[state.Declared[spec.Farm]](in, e); ok {
				in.farm.declared = &d
			}
		case isRole:
			if d, ok := decode[state.Declared[spec.Role]](in, e); ok {
				in.farm.role(role).declared = &d
			}
		}
	}
	return nil
}

// list hands each record under prefix to take, with what its key has behind prefix.
func list[T any](in reading, prefix string, take func(name string, v T)) error {
	entries, err := in.opts.Store.List(in.ctx, prefix)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if v, ok := decode[T](in, e); ok {
			take(strings.TrimPrefix(e.Key, prefix), v)
		}
	}
	return nil
}

// ledger reads the role's latest record.
func (in reading) ledger(name string, r *role) error {
	entries, err := in.opts.Store.List(in.ctx, state.LedgerKey(in.farm.name, name, ""), store.Reverse(), store.Limit(1))
	if err != nil || len(entries) == 0 {
		return err
	}
	record, err := ledger.Decode(entries[0].Value)
	if err != nil {
		in.unreadable(entries[0].Key, err)
		return nil
	}
	r.record = &record
	return nil
}

func decode[T any](in reading, e store.Entry) (v T, ok bool) {
	err := json.Unmarshal(e.Value, &v)
	if err != nil {
		in.unreadable(e.Key, err)
	}
	return v, err == nil
}

func (in reading) unreadable(key string, err error) {
	in.farm.unreadable++
	in.opts.Log.Warn("metrics: a record cannot be read; its metrics are absent", "key", key, "error", err)
}
