package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// failoverTick is how often a farm is looked at while a primary is in doubt or is being replaced; reports that matter call
// earlier.
const failoverTick = 250 * time.Millisecond

// observeDatabases reads what was decided of the roles' databases.
func (k *keeper) observeDatabases(ctx context.Context, s *sight) error {
	records, err := store.ListJSON[state.Database](ctx, k.store, state.DatabasePrefix(k.farm))
	if err != nil {
		return fmt.Errorf("reading the roles' databases: %w", err)
	}
	for i := range records {
		if r := s.roles[strings.TrimPrefix(records[i].Key, state.DatabasePrefix(k.farm))]; r != nil {
			r.database, r.databaseRev = &records[i].Value, records[i].Revision
		}
	}
	return nil
}

// writeDatabases writes what is decided now: before anything of it is carried out, so that another sidecar goes on where
// this one is killed. A person's wish may have come in between; then the tick ends here, and the next one sees it.
func (k *keeper) writeDatabases(ctx context.Context, s *sight, databases map[string]state.Database) error {
	for name, db := range databases {
		r := s.roles[name]
		if r == nil {
			continue
		}
		condition := store.Absent()
		if r.databaseRev != 0 {
			condition = store.At(r.databaseRev)
		}
		revision, err := store.PutJSON(ctx, k.store, state.DatabaseKey(k.farm, name), db, store.If(condition))
		if errors.Is(err, store.ErrConflict) {
			k.poke()
			return errDatabaseChanged
		}
		if err != nil {
			return fmt.Errorf("writing the database record of %s: %w", name, err)
		}
		r.database, r.databaseRev = &db, revision
	}
	k.failingOver = false
	for _, r := range s.roles {
		if r.traits.Replicated && r.database != nil && (r.database.Failover != nil || r.database.Suspect != nil) {
			k.failingOver, k.tickEvery = true, min(k.tickEvery, failoverTick)
		}
	}
	return nil
}

// errDatabaseChanged ends a tick whose decision rests on a record that was written to meanwhile. It is no trouble.
var errDatabaseChanged = errors.New("a role's database record was changed meanwhile")

// markPrimary brings the records of a replicated role in line with its database: who is to be the primary is marked, and
// nobody else.
func (k *keeper) markPrimary(ctx context.Context, s *sight, name string, r *roleSight) error {
	for _, rec := range s.records {
		if rec.Role != name {
			continue
		}
		is := r.database != nil && r.database.Primary == rec.Name() && r.database.PrimaryToken == rec.Token
		if rec.Primary == is || r.database == nil {
			continue
		}
		err := k.update(ctx, s, rec.Name(), func(i *state.Instance) { i.Primary = is })
		if err != nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("marking the primary of %s: %w", name, err)
		}
	}
	return nil
}

// member is a replicated role's instance as the topology shows it. A primary is shown when it takes writes and not when it
// is told to: who is led there earlier is refused.
func (r *roleSight) member(m state.Member, rec *recordSight) state.Member {
	if !r.traits.Replicated || r.database == nil {
		return m
	}
	db := r.database
	m.Primary = db.Primary == rec.Name() && db.PrimaryToken == rec.Token && db.Failover == nil
	for _, name := range db.Reads {
		m.Reads = m.Reads || name == rec.Name() && !m.Primary
	}
	return m
}

// term is that of the role's primary, for the topology.
func (r *roleSight) term() int64 {
	if r.database == nil {
		return 0
	}
	return r.database.Term
}

// measuredOf leaves the primary out of what is measured, where there are replicas: their number is what follows from it.
func (r *roleSight) measuredOf(all []engine.Instance) []engine.Instance {
	if r == nil || !r.traits.Replicated || r.database == nil || len(all) < 2 {
		return all
	}
	var replicas []engine.Instance
	for _, in := range all {
		if in.Name() != r.database.Primary {
			replicas = append(replicas, in)
		}
	}
	return replicas
}

// databaseDigest is what of a database's report calls for a tick at once. Lag and positions wait for the next one.
func databaseDigest(r *state.DatabaseReport) string {
	if r == nil {
		return ""
	}
	return fmt.Sprint(r.Done, r.Term, r.Writable, r.Empty, r.Lost, r.Receiving, r.Drained, r.Acks, r.Diverged != "", r.Error)
}
