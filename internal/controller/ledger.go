package controller

import (
	"context"
	"errors"
	"fmt"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/ledger"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// LatestRecord is a role's newest ledger record. ErrNotFound (of store) if there is none.
func LatestRecord(ctx context.Context, s store.Store, farm, role string) (ledger.Record, error) {
	return ledger.Latest(ctx, s, farm, role)
}

// record appends to the ledger what changed, before anything is done about it.
func (k *keeper) record(ctx context.Context, view engine.View, outcome engine.Outcome) error {
	for _, page := range k.ledger.Tick(view, outcome) {
		if err := k.writePage(ctx, page); err != nil {
			return fmt.Errorf("writing the ledger of %s: %w", page.Role, err)
		}
	}
	return nil
}

func (k *keeper) writePage(ctx context.Context, page *ledger.Page) error {
	value, err := ledger.Encode(page.Record)
	if err != nil {
		return err
	}
	condition := store.Absent()
	if page.Revision != 0 {
		condition = store.At(page.Revision)
	}
	key := state.LedgerKey(k.farm, page.Role, page.Record.ID)
	revision, err := k.store.Put(ctx, key, value, store.If(condition), store.Expires(page.Record.Until.Add(ledger.Kept)))
	if errors.Is(err, store.ErrConflict) {
		k.ledger.Close(page.Role) // somebody removed it: the next tick begins a new one
		return nil
	}
	if err != nil {
		return err
	}
	k.ledger.Wrote(page, revision, len(value))
	return nil
}
