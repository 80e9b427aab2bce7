package engine

import (
	"maps"
	"reflect"
	"slices"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// equalDatabase tells whether nothing is to be written. It is asked of every replicated role at every look.
func equalDatabase(a, b state.Database) bool {
	return a.Term == b.Term && a.Primary == b.Primary && a.PrimaryToken == b.PrimaryToken && a.PrimaryAddress == b.PrimaryAddress &&
		a.PromotedAt.Equal(b.PromotedAt) && a.PromotedPosition == b.PromotedPosition && a.Lease == b.Lease && a.Restored == b.Restored && a.Bare.Equal(b.Bare) &&
		maps.EqualFunc(a.Orders, b.Orders, state.DatabaseOrder.Equal) && maps.Equal(a.Ackers, b.Ackers) &&
		slices.Equal(a.Reads, b.Reads) && slices.Equal(a.Promotions, b.Promotions) && slices.Equal(a.Known, b.Known) && slices.Equal(a.Plain, b.Plain) &&
		same(a.Failover, b.Failover) && same(a.Last, b.Last) && same(a.Wish, b.Wish) && same(a.Suspect, b.Suspect)
}

func same[T any](a, b *T) bool {
	return a == b || a != nil && b != nil && reflect.DeepEqual(*a, *b)
}
