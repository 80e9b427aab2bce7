package simulated

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// Kill stops a machine as a crash would: it stays listed as stopped, its agent says nothing more.
func Kill(ctx context.Context, s store.Store, farm, instance string) error {
	return change(ctx, s, farm, instance, "killing", func(m *machine) { m.Exit = "exit status 137, killed" })
}

// Hang makes a machine's agent fall silent while the platform goes on calling the machine up.
func Hang(ctx context.Context, s store.Store, farm, instance string) error {
	return change(ctx, s, farm, instance, "hanging", func(m *machine) { m.Hung = true })
}

// Sicken makes a machine's health check fail, from now on, while its agent goes on reporting.
func Sicken(ctx context.Context, s store.Store, farm, instance string, now time.Time) error {
	return change(ctx, s, farm, instance, "sickening", func(m *machine) { m.Sick = now })
}

// FailSnapshot makes the next snapshot of an instance's volume fail.
func FailSnapshot(ctx context.Context, s store.Store, farm, instance string) error {
	_, err := s.Put(ctx, snapshotFaultKey(farm, instance), []byte("{}"))
	return unavailable(fmt.Sprintf("making the next snapshot of %s of simulated farm %s fail", instance, farm), err)
}

// change alters the record of an instance's machine that is not stopped. It may run in any process, beside the
// sidecar that keeps the farm.
func change(ctx context.Context, s store.Store, farm, instance, doing string, alter func(*machine)) error {
	doing = fmt.Sprintf("%s %s of simulated farm %s", doing, instance, farm)
	for {
		records, err := machines(ctx, s, farm)
		if err != nil {
			return err
		}
		var found *store.Item[machine]
		var others []string
		for i, r := range records {
			switch m := r.Value; {
			case m.Exit != "":
			case m.Instance != instance:
				others = append(others, m.Instance)
			case found == nil || found.Value.Launched.Before(m.Launched):
				found = &records[i]
			}
		}
		if found == nil {
			if len(others) == 0 {
				return fmt.Errorf("%s: the farm has no machine that runs: `farmhand status` shows what there is", doing)
			}
			return fmt.Errorf("%s: no such machine runs; there are %s", doing, strings.Join(others, ", "))
		}
		alter(&found.Value)
		_, err = store.PutJSON(ctx, s, found.Key, found.Value, store.If(store.At(found.Revision)))
		if !errors.Is(err, store.ErrConflict) {
			return unavailable(doing, err)
		}
	}
}
