package sidecar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/ledger"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

type explainOptions struct {
	at, whyNot, event string
	trace, policy     string
	last              int
	replay, asJSON    bool
}

func newExplain() *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use:   "explain [FARM/]ROLE",
		Short: "Say why a role has the servers that it has",
		Long: `Says from the ledger what was decided about a role and what it rested on: what was measured and how old it was,
how each policy voted, what limited it, the budgets of launching and healing, and what was done or why nothing was.
Without --at it is about now. The ledger goes back 30 days. It reads the store and works whether a sidecar runs or not.`,
		Example: `  farmhand explain web
  farmhand explain shop/web --at 14:30
  farmhand explain shop/web --at 20m --why-not scale-in
  farmhand explain web --last 5
  farmhand explain --event 20260302T090002.000000000Z-000012
  farmhand explain web --replay
  farmhand explain web --trace 7d > week.csv && farmhand simulate week.csv --farm shop --role web --gaps hold`,
		Args: cobra.MaximumNArgs(1),
	}
	f := cmd.Flags()
	f.StringVar(&o.at, "at", "", "the record in force then: a time (2026-03-02T09:00:00Z, \"2026-03-02 09:00\", 09:00:30) or how long ago (90s, 20m, 3h, 2d)")
	f.StringVar(&o.whyNot, "why-not", "", "what stood against an action, and what would have had to be otherwise: "+strings.Join(ledger.Actions, ", "))
	f.StringVar(&o.event, "event", "", "the record behind the event of that id (farmhand events --json shows ids), or the record of that id")
	f.IntVarP(&o.last, "last", "n", 1, "the newest so many records, oldest first")
	f.StringVar(&o.trace, "trace", "", "print instead the demand on the role since then, a minute a row, as CSV for farmhand simulate")
	f.StringVar(&o.policy, "policy", "", "with --trace: the policy whose metric it is, where several measure something")
	f.BoolVar(&o.replay, "replay", false, "run each record through the engine again and say whether it comes to the same")
	f.BoolVar(&o.asJSON, "json", false, "print JSON, one object a record")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		if err := o.check(args, cmd.Flags().Changed("last")); err != nil {
			return err
		}
		s, _, err := storeOf(cmd)
		if err != nil {
			return err
		}
		defer s.Close()
		now := time.Now()
		if o.trace != "" {
			return o.printTrace(ctx, cmd.OutOrStdout(), s, args[0], now)
		}
		found, err := o.find(ctx, s, args, now)
		if err != nil {
			return err
		}
		return o.print(cmd.OutOrStdout(), found, now)
	}
	return cmd
}

func (o *explainOptions) check(args []string, lastSaid bool) error {
	switch {
	case o.last < 1:
		return usage("--last takes 1 or more")
	case o.event != "" && (o.at != "" || lastSaid):
		return usage("--event names one record; leave --at and --last out")
	case o.at != "" && lastSaid:
		return usage("give --at or --last, not both")
	case o.trace != "" && (o.at != "" || o.event != "" || o.whyNot != "" || o.replay || o.asJSON || lastSaid):
		return usage("--trace prints a table of numbers; leave the other flags out, but for --policy")
	case o.event == "" && len(args) == 0:
		return usage("name a role, as in: farmhand explain shop/web")
	}
	if o.whyNot != "" && !slices.Contains(ledger.Actions, o.whyNot) {
		return usage("%q is nothing that can be asked about: --why-not takes one of %s", o.whyNot, strings.Join(ledger.Actions, ", "))
	}
	return nil
}

// explained is a record and what is asked of it; with --json as it stands here.
type explained struct {
	ledger.Record
	Next   time.Time      `json:"next,omitzero"` // when the record behind it began
	Look   *engine.Look   `json:"look,omitempty"`
	WhyNot *ledger.WhyNot `json:"why_not,omitempty"`
	Replay *ledger.Replay `json:"replay,omitempty"`
}

func (o *explainOptions) find(ctx context.Context, s store.Store, args []string, now time.Time) ([]explained, error) {
	if o.event != "" {
		return o.findEvent(ctx, s, args)
	}
	farm, role, err := theRole(ctx, s, args[0])
	if err != nil {
		return nil, err
	}
	if o.at != "" {
		at, err := pointInTime(o.at, now)
		if err != nil {
			return nil, err
		}
		r, next, err := ledger.InForce(ctx, s, farm, role, at)
		if errors.Is(err, store.ErrNotFound) {
			return nil, absent("nothing is written down of %s/%s at %s: %v", farm, role, at.Local().Format("2006-01-02 15:04:05"), err)
		}
		return []explained{{Record: r, Next: next}}, err
	}
	records, err := ledger.Last(ctx, s, farm, role, o.last)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, absent("nothing is written down of %s/%s yet: does a sidecar keep the farm? farmhand status shows it", farm, role)
	}
	found := make([]explained, len(records))
	for i := range records {
		found[i].Record = records[i]
		if i+1 < len(records) {
			found[i].Next = records[i+1].Since
		}
	}
	return found, nil
}

// findEvent finds the record behind an event, or the record itself, by id.
func (o *explainOptions) findEvent(ctx context.Context, s store.Store, args []string) ([]explained, error) {
	at, err := ledger.TimeOf(o.event)
	if err != nil {
		return nil, usage("--event: %v", err)
	}
	farms, err := farmNames(ctx, s)
	if err != nil {
		return nil, err
	}
	only := ""
	if len(args) > 0 {
		farm, role, both := strings.Cut(args[0], "/")
		switch {
		case both:
			farms, only = []string{farm}, role
		case slices.Contains(farms, farm):
			farms = []string{farm}
		default:
			only = farm
		}
	}
	for _, farm := range farms {
		e, _, err := store.GetJSON[state.Event](ctx, s, state.EventKey(farm, o.event))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		id, roles := o.event, []string{only}
		if err == nil {
			if e.Ledger == "" {
				return nil, absent("no decision of the engine is behind this event: it says all there is to say: %s", e.Reason)
			}
			id, roles = e.Ledger, []string{e.Role}
			if at, err = ledger.TimeOf(id); err != nil {
				return nil, err
			}
		} else if only == "" {
			if roles, err = roleNames(ctx, s, farm); err != nil {
				return nil, err
			}
		}
		for _, role := range roles {
			if _, err := ledger.Get(ctx, s, farm, role, id); errors.Is(err, store.ErrNotFound) {
				continue
			} else if err != nil {
				return nil, err
			}
			r, next, err := ledger.InForce(ctx, s, farm, role, at)
			if err == nil && r.ID != id { // another of the same nanosecond
				r, err = ledger.Get(ctx, s, farm, role, id)
			}
			return []explained{{Record: r, Next: next}}, err
		}
	}
	return nil, absent("there is no event and no ledger record %s; both are kept for 30 days", o.event)
}

func (o *explainOptions) print(w io.Writer, found []explained, now time.Time) error {
	palette := colours(w)
	reader := ledger.Reader{Now: now, Zone: time.Local, Bold: palette.bold}
	for i := range found {
		e := &found[i]
		reader.Next = e.Next
		if o.whyNot != "" {
			why, err := e.Ask(o.whyNot, reader, engine.Decide)
			if err != nil {
				return err
			}
			e.WhyNot = &why
		}
		if o.replay {
			replay := e.Record.Replay(engine.Decide)
			e.Replay = &replay
		}
		if o.asJSON {
			if err := e.json(w); err != nil {
				return err
			}
			continue
		}
		text := ""
		if i > 0 {
			text = "\n"
		}
		switch {
		case e.WhyNot != nil:
			text += e.Head(reader) + "\n" + e.WhyNot.Words(reader)
		default:
			text += e.Words(reader)
			if role := e.Role(); role != nil && role.Database != nil {
				for _, f := range []*state.Failover{role.Database.Last, role.Database.Failover} {
					if f != nil {
						text += "\n" + failoverWords(f)
					}
				}
			}
		}
		if e.Replay != nil {
			text += "\n" + e.Replay.Words() + "\n"
		}
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
	return nil
}

func (e *explained) json(w io.Writer) error {
	if role := e.Role(); role != nil && e.LeftOut == "" {
		if look, ok := engine.LookAt(e.View, role.Spec.Name); ok {
			e.Look = &look
		}
	}
	b, err := json.Marshal(e)
	if err == nil {
		_, err = w.Write(append(b, '\n'))
	}
	return err
}

// theRole is the one that a word names: FARM/ROLE, or ROLE where one farm only has a role of that name.
func theRole(ctx context.Context, s store.Store, word string) (farm, role string, err error) {
	farm, role, both := strings.Cut(word, "/")
	if both {
		if _, err := theFarm(ctx, s, []string{farm}); err != nil {
			return "", "", err
		}
		roles, err := roleNames(ctx, s, farm)
		if err != nil {
			return "", "", err
		}
		if slices.Contains(roles, role) {
			return farm, role, nil
		}
		return "", "", absent("farm %s has no role %q; it has %s", farm, role, orNone(roles))
	}
	role = word
	farms, err := farmNames(ctx, s)
	if err != nil {
		return "", "", err
	}
	var in, all []string
	for _, f := range farms {
		roles, err := roleNames(ctx, s, f)
		if err != nil {
			return "", "", err
		}
		for _, r := range roles {
			all = append(all, f+"/"+r)
			if r == role {
				in = append(in, f+"/"+r)
			}
		}
	}
	switch len(in) {
	case 0:
		return "", "", absent("there is no role %q; there is %s", role, orNone(all))
	case 1:
		farm, role, _ = strings.Cut(in[0], "/")
		return farm, role, nil
	}
	return "", "", usage("several farms have such a role: name one of %s", strings.Join(in, ", "))
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// roleNames are the farm's declared roles, sorted.
func roleNames(ctx context.Context, s store.Store, farm string) ([]string, error) {
	entries, err := s.List(ctx, state.RolePrefix(farm))
	if err != nil {
		return nil, fmt.Errorf("listing the roles of %s: %w", farm, err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimPrefix(e.Key, state.RolePrefix(farm)))
	}
	return names, nil
}

// pointInTime reads a time or how long ago. A time of day is the last one of that name; without a zone it is the local one.
func pointInTime(s string, now time.Time) (time.Time, error) {
	past := strings.TrimSuffix(strings.TrimPrefix(s, "-"), " ago")
	if d, err := time.ParseDuration(past); err == nil {
		return now.Add(-d), nil
	}
	if days, err := strconv.ParseFloat(strings.TrimSuffix(past, "d"), 64); err == nil && strings.HasSuffix(past, "d") {
		return now.Add(-time.Duration(days * 24 * float64(time.Hour))), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	local := now.Local()
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			at := time.Date(local.Year(), local.Month(), local.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.Local)
			if at.After(now) {
				at = at.AddDate(0, 0, -1)
			}
			return at, nil
		}
	}
	if t, err := ledger.TimeOf(s); err == nil {
		return t, nil
	}
	return time.Time{}, usage("%q is neither a time (2026-03-02T09:00:00Z, \"2026-03-02 09:00\", 09:00) nor how long ago (90s, 20m, 3h, 2d)", s)
}
