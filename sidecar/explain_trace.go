package sidecar

import (
	"context"
	"encoding/csv"
	"io"
	"strconv"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/ledger"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// printTrace prints what the ledger knows of the demand on a role.
func (o *explainOptions) printTrace(ctx context.Context, w io.Writer, s store.Store, word string, now time.Time) error {
	farm, role, err := theRole(ctx, s, word)
	if err != nil {
		return err
	}
	from, err := pointInTime(o.trace, now)
	if err != nil {
		return err
	}
	records, err := ledger.Since(ctx, s, farm, role, from)
	if err != nil {
		return err
	}
	points, err := ledger.History(records, o.policy)
	if err != nil {
		return err
	}
	if len(points) < 2 {
		return absent("the ledger of %s/%s knows of %d minutes of demand since %s: that is no trace", farm, role, len(points), from.Local().Format("2006-01-02 15:04:05"))
	}
	table := csv.NewWriter(w)
	_ = table.Write([]string{"time", "demand"})
	for _, p := range points {
		if !p.At.Before(from) {
			_ = table.Write([]string{p.At.UTC().Format(time.RFC3339), strconv.FormatFloat(p.Demand, 'g', 6, 64)})
		}
	}
	table.Flush()
	return table.Error()
}
