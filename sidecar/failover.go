package sidecar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// failoverWait is how long --wait waits: longer than any planned change takes before it is called off.
const failoverWait = 2 * time.Minute

func newFailover() *cobra.Command {
	var to, because string
	var force, wait, asJSON bool
	cmd := &cobra.Command{
		Use:   "failover [FARM/]ROLE",
		Short: "Make another server of a database its primary",
		Long: `Asks for another primary. While the present one is well that is a planned change: it becomes read-only, the other one
applies all that it wrote and takes over; what does not come off within seconds is called off, and the old one takes writes
again. While there is none it goes on where the role's failover is manual or waits. --force goes on, too, where
acknowledged writes may be lost by it. The sidecar does it; farmhand explain says how it went.`,
		Example: `  farmhand failover shop/mysql --wait
  farmhand failover mysql --to 2 --because "zone a is to be repaired"
  farmhand failover mysql --force`,
		Args: cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	f.StringVar(&to, "to", "", "index or name of the server that is to take over (default: the best)")
	f.StringVar(&because, "because", "", "why, for whoever looks at it later")
	f.BoolVar(&force, "force", false, "go on where acknowledged writes may be lost")
	f.BoolVar(&wait, "wait", false, "wait for the end of it; exit status 1 if it did not come off")
	f.BoolVar(&asJSON, "json", false, "with --wait: print the change as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if asJSON && !wait {
			return usage("--json prints how it went: add --wait")
		}
		ctx := cmd.Context()
		s, dir, err := storeOf(cmd)
		if err != nil {
			return err
		}
		defer s.Close()
		farm, role, err := theRole(ctx, s, args[0])
		if err != nil {
			return err
		}
		wish := state.FailoverWish{At: time.Now().UTC(), By: whoAmI(), Force: force, Reason: because}
		wish.ID = wish.At.Format("20060102T150405.000000000Z")
		if wish.To, err = serverOf(role, to); err != nil {
			return err
		}
		if err := wishFailover(ctx, s, farm, role, wish); err != nil {
			return err
		}
		said := fmt.Sprintf("another primary is asked for in %s/%s; farmhand explain %s/%s shows how it goes", farm, role, farm, role)
		if runs, err := anyRuns(ctx, s, dir, time.Now()); err == nil && !runs {
			said += "; no sidecar runs here now, it takes effect when one does"
		}
		if !wait {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), said)
			return err
		}
		change, err := awaitFailover(ctx, s, farm, role, wish.ID)
		if err != nil {
			return err
		}
		return printFailover(cmd.OutOrStdout(), change, asJSON)
	}
	return cmd
}

// serverOf is the instance that --to names, by index or name; "" for none.
func serverOf(role, to string) (string, error) {
	to = strings.TrimPrefix(to, role+"-")
	if to == "" {
		return "", nil
	}
	index, err := strconv.Atoi(to)
	if err != nil || index < 1 {
		return "", usage("--to takes the index of a server of %s, as in --to 2", role)
	}
	return state.InstanceName(role, index), nil
}

// failoverTries: the sidecar writes to the record, too, several times a second in the midst of a failover.
const failoverTries = 20

// wishFailover writes the wish into the role's database record; the sidecar takes it up.
func wishFailover(ctx context.Context, s store.Store, farm, role string, wish state.FailoverWish) error {
	declared, _, err := store.GetJSON[state.Declared[spec.Role]](ctx, s, state.RoleKey(farm, role))
	if err != nil {
		return err
	}
	if declared.Deleting {
		return fmt.Errorf("role %s/%s is being destroyed", farm, role)
	}
	for try := 1; ; try++ {
		db, revision, err := store.GetJSON[state.Database](ctx, s, state.DatabaseKey(farm, role))
		switch {
		case errors.Is(err, store.ErrNotFound):
			return absent("%s/%s is no replicated database, or its sidecar has not looked at it yet: there is no primary to change", farm, role)
		case err != nil:
			return err
		case db.Failover != nil && db.Failover.Planned:
			return fmt.Errorf("the primary of %s/%s is being changed already: step %q; farmhand explain %s/%s shows it", farm, role, db.Failover.Step, farm, role)
		}
		db.Wish = &wish
		_, err = store.PutJSON(ctx, s, state.DatabaseKey(farm, role), db, store.If(store.At(revision)))
		if err == nil || !errors.Is(err, store.ErrConflict) || try == failoverTries {
			return err
		}
	}
}

// awaitFailover returns the change that a wish led to when it has ended, or stands refused.
func awaitFailover(ctx context.Context, s store.Store, farm, role, wish string) (*state.Failover, error) {
	ctx, cancel := context.WithTimeout(ctx, failoverWait)
	defer cancel()
	hints, err := s.Watch(ctx, state.DatabaseKey(farm, role))
	if err != nil {
		return nil, err
	}
	for {
		db, _, err := store.GetJSON[state.Database](ctx, s, state.DatabaseKey(farm, role))
		if err != nil && ctx.Err() == nil {
			return nil, err
		}
		for _, f := range []*state.Failover{db.Last, db.Failover} {
			if f != nil && f.Wish == wish && (f == db.Last || f.Step == state.StepRefused) {
				return f, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the change: it has not ended within %s; farmhand explain %s/%s shows where it stands", failoverWait, farm, role)
		case <-hints:
		case <-time.After(time.Second):
		}
	}
}

func printFailover(w io.Writer, f *state.Failover, asJSON bool) error {
	text := failoverWords(f)
	if asJSON {
		b, err := json.Marshal(f)
		if err != nil {
			return err
		}
		text = string(b) + "\n"
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	if f.Step != state.StepDone {
		return fmt.Errorf("the primary was not changed")
	}
	return nil
}

// failoverWords tell a change of the primary step by step, each with the time since it began.
func failoverWords(f *state.Failover) string {
	if f == nil {
		return ""
	}
	var b strings.Builder
	kind := "Failover"
	if f.Planned {
		kind = "Planned change of the primary"
	}
	fmt.Fprintf(&b, "%s at %s: %s\n", kind, f.Began.Local().Format("Mon 2 Jan 15:04:05.000 MST"), f.Reason)
	for _, p := range f.History {
		fmt.Fprintf(&b, "  +%-8s %-9s %s\n", p.At.Sub(f.Began).Round(time.Millisecond), p.Step, p.Text)
	}
	return b.String()
}

// databaseHealth is how a database's server stands, in a few words; "" if it is none.
func databaseHealth(r *state.DatabaseReport) string {
	if r == nil {
		return ""
	}
	var words string
	switch {
	case r.Writable:
		words = fmt.Sprintf("takes writes, %d acknowledge", r.SemiSync)
	case r.Diverged != "":
		words = "diverged: " + r.Diverged
	case r.Empty:
		words = "no data yet"
	case r.Receiving && r.Applying && r.LagKnown:
		words = fmt.Sprintf("replicates, %.1fs behind", r.Lag)
	case r.Source != "":
		words = "does not replicate: " + r.ReplicaNote
	default:
		words = "read-only"
	}
	if r.Doing != "" {
		words += ", " + r.Doing
	}
	if r.Position != "" {
		words += ", at " + r.Position
	}
	return words
}
