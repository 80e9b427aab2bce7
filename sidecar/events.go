package sidecar

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/farmhand/terraform-provider-farmhand/internal/controller"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// eventsShown is how much of the past is shown when nobody says.
const eventsShown = 100

func newEvents() *cobra.Command {
	var (
		follow, asJSON bool
		since          time.Duration
		last           int
	)
	cmd := &cobra.Command{
		Use:   "events [FARM]",
		Short: "Print what happened to a farm, and why",
		Long: `Prints a farm's history, oldest first: time, server or role, what, and the reason. With one farm it need not be
named. It reads the store and works whether a sidecar runs or not.`,
		Example: `  farmhand events                      # the last ` + fmt.Sprint(eventsShown) + `
  farmhand events shop --since 1h
  farmhand events shop --follow
  farmhand events shop --json | jq -r 'select(.level != "info") | .reason'`,
		Args: cobra.MaximumNArgs(1),
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what happens from now on, until Ctrl-C")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	cmd.Flags().DurationVar(&since, "since", 0, "only what is younger, as in 90s, 5m, 24h")
	cmd.Flags().IntVarP(&last, "last", "n", eventsShown, "at most so many of the past, the newest; 0 for all (all with --since)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		if since < 0 || last < 0 {
			return usage("--since and --last take no negative values")
		}
		s, _, err := storeOf(cmd)
		if err != nil {
			return err
		}
		defer s.Close()
		farm, err := theFarm(ctx, s, args)
		if err != nil {
			return err
		}
		from := ""
		if since > 0 {
			from = state.EventKey(farm, controller.EventID(time.Now().Add(-since), 0))
			if !cmd.Flags().Changed("last") {
				last = 0
			}
		}
		line := func(e state.Event) string { return eventLine(e, colours(cmd.OutOrStdout())) }
		if asJSON {
			line = eventJSON
		}
		return printEvents(ctx, cmd.OutOrStdout(), s, farm, from, last, follow, line)
	}
	return cmd
}

func printEvents(ctx context.Context, w io.Writer, s store.Store, farm, from string, last int, follow bool, line func(state.Event) string) error {
	var hints <-chan struct{}
	if follow {
		var err error
		if hints, err = s.Watch(ctx, state.EventPrefix(farm)); err != nil {
			return err
		}
	}
	events, err := pastEvents(ctx, s, farm, from, last)
	for {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // Ctrl-C is how following ends
		}
		if err != nil {
			return fmt.Errorf("reading the events of %s: %w", farm, err)
		}
		for _, e := range events {
			if _, err := fmt.Fprintln(w, line(e.Value)); err != nil {
				return err
			}
			from = e.Key
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case _, open := <-hints:
			if !open {
				return nil
			}
		}
		events, err = store.ListJSON[state.Event](ctx, s, state.EventPrefix(farm), store.After(from))
	}
}

// pastEvents are those behind key from, at most the newest last of them, oldest first.
func pastEvents(ctx context.Context, s store.Store, farm, from string, last int) ([]store.Item[state.Event], error) {
	if from != "" || last == 0 {
		events, err := store.ListJSON[state.Event](ctx, s, state.EventPrefix(farm), store.After(from))
		if last > 0 && len(events) > last {
			events = events[len(events)-last:]
		}
		return events, err
	}
	events, err := store.ListJSON[state.Event](ctx, s, state.EventPrefix(farm), store.Reverse(), store.Limit(last))
	slices.Reverse(events)
	return events, err
}

// eventLine is "10:02:33  web-2  launch  web has 1 of 2 servers".
func eventLine(e state.Event, p palette) string {
	who := e.Instance
	if who == "" {
		who = e.Role
	}
	if who == "" {
		who = "-"
	}
	at := e.At.Local().Format("15:04:05")
	if time.Since(e.At) > 20*time.Hour {
		at = e.At.Local().Format("2006-01-02 15:04:05")
	}
	kind := fmt.Sprintf("%-10s", e.Kind)
	switch {
	case e.Level == "error":
		kind = p.bad(kind)
	case e.Level == "warning":
		kind = p.warn(kind)
	case e.Kind == "running":
		kind = p.good(kind)
	}
	mark := " "
	switch e.Level {
	case "error":
		mark = p.bad("E")
	case "warning":
		mark = p.warn("W")
	}
	return fmt.Sprintf("%s %s %s %s %s", p.faint(at), mark, p.bold(fmt.Sprintf("%-10s", who)), kind, e.Reason)
}

func eventJSON(e state.Event) string {
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Sprintf(`{"error":%q}`, err)
	}
	return string(b)
}
