package provider

import (
	"context"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// trouble is what the sidecar last said against the whole farm since then: its platform cannot be used, its port is
// taken. ok is false if it has not complained.
func trouble(ctx context.Context, s store.Store, farm string, since time.Time) (reason string, ok bool) {
	const looked = 50
	events, err := store.ListJSON[state.Event](ctx, s, state.EventPrefix(farm), store.Reverse(), store.Limit(looked))
	if err != nil {
		return "", false
	}
	for _, e := range events {
		if e.Value.At.Before(since) {
			break
		}
		if e.Value.Role == "" && e.Value.Instance == "" && e.Value.Level != "info" {
			return e.Value.Reason, true
		}
	}
	return "", false
}

// troubleText ends an error message with it.
func troubleText(ctx context.Context, s store.Store, farm string, since time.Time) string {
	if reason, ok := trouble(ctx, s, farm, since); ok {
		return ". The sidecar says: " + reason
	}
	return ""
}
