package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

const (
	// ledgerKept and ledgerFor bound the ledger of one role.
	ledgerKept = 1000
	ledgerFor  = 14 * 24 * time.Hour
	// foldEvery is how often a record that goes on holding is written again with its newest values.
	foldEvery = 30 * time.Second
)

// LedgerRecord is how a role's number was arrived at over a stretch of like ticks: the inputs with their ages, the
// votes, the clamps and the decision or the reason for none. Ticks that came to the same are folded into one.
type LedgerRecord struct {
	ID    string    `json:"id"` // sorts by time
	Since time.Time `json:"since"`
	Until time.Time `json:"until"` // the last tick folded in that was written down
	Ticks int       `json:"ticks"`
	// Account is that of the last tick written down.
	Account   engine.Account    `json:"account"`
	Decisions []engine.Decision `json:"decisions,omitempty"` // of the first tick; those of like ticks do the same again
}

// ledger is what the keeper knows of each role's newest record.
type ledger struct {
	sequence int
	open     map[string]*openRecord
}

type openRecord struct {
	LedgerRecord
	revision store.Revision
	matter   string // digest of what would make it another record
	written  time.Time
}

// LatestRecord is a role's newest ledger record. ErrNotFound (of store) if there is none.
func LatestRecord(ctx context.Context, s store.Store, farm, role string) (LedgerRecord, error) {
	items, err := store.ListJSON[LedgerRecord](ctx, s, state.LedgerKey(farm, role, ""), store.Reverse(), store.Limit(1))
	if err != nil {
		return LedgerRecord{}, err
	}
	if len(items) == 0 {
		return LedgerRecord{}, fmt.Errorf("ledger of %s/%s: %w", farm, role, store.ErrNotFound)
	}
	return items[0].Value, nil
}

// record appends to the ledger what changed, before anything is done about it.
func (k *keeper) record(ctx context.Context, s *sight, outcome engine.Outcome) error {
	decisions := map[string][]engine.Decision{}
	for _, d := range outcome.Decisions {
		decisions[d.Role] = append(decisions[d.Role], d)
	}
	for role, account := range outcome.Accounts {
		if err := k.recordRole(ctx, s.now, role, account, decisions[role]); err != nil {
			return fmt.Errorf("writing the ledger of %s: %w", role, err)
		}
	}
	return nil
}

func (k *keeper) recordRole(ctx context.Context, now time.Time, role string, account engine.Account, decisions []engine.Decision) error {
	if k.ledger.open == nil {
		k.ledger.open = map[string]*openRecord{}
	}
	matter := matterOf(account, decisions)
	open := k.ledger.open[role]
	if open != nil && open.matter == matter {
		open.Until, open.Account = now, account
		open.Ticks++
		if now.Sub(open.written) < foldEvery {
			return nil
		}
		return k.putRecord(ctx, role, open, store.If(store.At(open.revision)))
	}
	k.ledger.sequence++
	open = &openRecord{matter: matter, LedgerRecord: LedgerRecord{
		ID: EventID(now, k.ledger.sequence), Since: now, Until: now, Ticks: 1, Account: account, Decisions: decisions}}
	if err := k.putRecord(ctx, role, open, store.If(store.Absent())); err != nil {
		return err
	}
	k.ledger.open[role] = open
	if k.ledger.sequence%pruneEvery == 1 {
		return prune(ctx, k.store, state.LedgerKey(k.farm, role, ""), ledgerKept)
	}
	return nil
}

func (k *keeper) putRecord(ctx context.Context, role string, r *openRecord, condition store.Option) error {
	revision, err := store.PutJSON(ctx, k.store, state.LedgerKey(k.farm, role, r.ID), r.LedgerRecord, condition, store.Expires(r.Until.Add(ledgerFor)))
	if errors.Is(err, store.ErrConflict) {
		delete(k.ledger.open, role) // somebody pruned it: the next tick begins a new one
		return nil
	}
	if err != nil {
		return err
	}
	r.revision, r.written = revision, r.Until
	return nil
}

// ledgerID is the id of the record behind what is decided of a role now.
func (k *keeper) ledgerID(role string) string {
	if open := k.ledger.open[role]; open != nil {
		return open.ID
	}
	return ""
}

// matterOf leaves out of an account what moves at every tick: values, ages, and the words made of them.
func matterOf(a engine.Account, decisions []engine.Decision) string {
	type vote struct {
		Policy          string
		Want            int
		Abstain, Blocks bool
	}
	m := struct {
		Serving, Coming, Min, Max, Desired, Clamps int
		Votes                                      []vote
		Decisions                                  []string
	}{a.Serving, a.Coming, a.Min, a.Max, a.Desired, len(a.Clamps), nil, nil}
	for _, v := range a.Votes {
		m.Votes = append(m.Votes, vote{v.Policy, v.Want, v.Abstain, v.Blocks})
	}
	for _, d := range decisions {
		m.Decisions = append(m.Decisions, string(d.Action)+" "+d.Instance)
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // plain data
	}
	return string(b)
}
