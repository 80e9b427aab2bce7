package sidecar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

func newStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [FARM]",
		Short: "Print what there is: sidecar, farms, roles, servers",
		Long: `Prints the sidecar of the state directory and what its store says of the farms: of each role its envelope, how
many servers serve and come up, how many there should be and why; of each server how it is. It reads the store
and works whether a sidecar runs or not; if none does, it says so and ends with exit status 3.`,
		Example: `  farmhand status
  farmhand status shop
  farmhand status --json | jq '.farms[].roles[] | {name, serving, desired}'`,
		Args: cobra.MaximumNArgs(1),
	}
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir, err := stateDir(cmd)
		if err != nil {
			return err
		}
		st, err := look(cmd.Context(), dir, storeAddress(cmd), args, time.Now())
		if err != nil {
			return err
		}
		if *asJSON {
			e := json.NewEncoder(cmd.OutOrStdout())
			e.SetIndent("", "  ")
			err = e.Encode(st)
		} else {
			err = st.print(cmd.OutOrStdout(), colours(cmd.OutOrStdout()))
		}
		if err == nil && !st.Sidecar.Running {
			return absent("no sidecar runs here: nothing is healed or scaled; terraform apply starts it, or farmhand run")
		}
		return err
	}
	return cmd
}

// status is what is printed; with --json as it stands here.
type status struct {
	Sidecar sidecarStatus `json:"sidecar"`
	Farms   []farmStatus  `json:"farms"`
}

type sidecarStatus struct {
	Running  bool      `json:"running"`
	ID       string    `json:"id,omitempty"`
	Version  string    `json:"version,omitempty"`
	PID      int       `json:"pid,omitempty"`
	Started  time.Time `json:"started,omitzero"`
	StateDir string    `json:"state_dir"`
	Host     string    `json:"host,omitempty"` // of one on another machine
	Problem  string    `json:"problem,omitempty"`
}

type farmStatus struct {
	Name       string           `json:"name"`
	Platform   string           `json:"platform"`
	Zone       string           `json:"zone"`
	Nameserver string           `json:"nameserver,omitempty"`
	Kept       bool             `json:"kept"` // by the sidecar of this state directory, now
	Deleting   bool             `json:"deleting,omitempty"`
	Roles      []roleStatus     `json:"roles"`
	Instances  []instanceStatus `json:"instances"`
}

type roleStatus struct {
	Name     string `json:"name"`
	Behavior string `json:"behavior"`
	Min      int    `json:"min"` // schedules applied
	Max      int    `json:"max"`
	Serving  int    `json:"serving"`
	Coming   int    `json:"coming"`
	Desired  int    `json:"desired"`
	Reason   string `json:"reason"`
	Deleting bool   `json:"deleting,omitempty"`
	// Database is what is decided of a replicated database.
	Database *state.Database `json:"database,omitempty"`
	// Manual is the number set by hand that holds now.
	Manual *state.Manual `json:"manual,omitempty"`
}

type instanceStatus struct {
	Name    string         `json:"name"`
	Role    string         `json:"role"`
	Index   int            `json:"index"`
	Phase   state.Phase    `json:"phase"`
	Since   time.Time      `json:"since"`
	Created time.Time      `json:"created"`
	Address string         `json:"address"`
	Primary bool           `json:"primary,omitempty"`
	Load1   *float64       `json:"load1,omitempty"` // null: no recent sample
	CPU     *float64       `json:"cpu,omitempty"`   // 0..1
	Health  string         `json:"health"`
	Healthy bool           `json:"healthy"`
	Heard   time.Time      `json:"heard,omitzero"` // last report
	Reason  string         `json:"reason"`
	Failure *state.Failure `json:"failure,omitempty"`
	// Database is how a database's server stands.
	Database *state.DatabaseReport `json:"database,omitempty"`
}

// look reads what is to be printed. args name a farm or nothing.
// lookElsewhere finds a sidecar on another machine by what it says in the store: the first by name that lives.
func (st *sidecarStatus) lookElsewhere(ctx context.Context, s store.Store, now time.Time) error {
	alive, err := store.ListJSON[state.Alive](ctx, s, state.AlivePrefix())
	if err != nil {
		return err
	}
	for _, it := range alive {
		if a := it.Value; a.Lives(now) {
			st.Running, st.ID, st.Version, st.Started, st.Host = true, a.Holder, a.Version, a.Started, a.Host
			return nil
		}
	}
	return nil
}

func look(ctx context.Context, dir, address string, args []string, now time.Time) (status, error) {
	st := status{Sidecar: sidecarStatus{StateDir: dir}, Farms: []farmStatus{}}
	d, err := daemon.Find(ctx, dir)
	switch {
	case err == nil:
		st.Sidecar = sidecarStatus{Running: true, ID: d.ID, Version: d.Version, PID: d.PID, Started: d.Started, StateDir: dir}
	case errors.Is(err, daemon.ErrNotRunning):
	case errors.Is(err, daemon.ErrNotAnswering):
		st.Sidecar.Problem = err.Error()
	default:
		return st, err
	}
	s, err := openStore(ctx, dir, address)
	if err != nil {
		return st, err
	}
	defer s.Close()
	if address != "" && !st.Sidecar.Running {
		if err := st.Sidecar.lookElsewhere(ctx, s, now); err != nil {
			return st, err
		}
	}
	names, err := farmNames(ctx, s)
	if err != nil {
		return st, err
	}
	if len(args) > 0 {
		name, err := theFarm(ctx, s, args)
		if err != nil {
			return st, err
		}
		names = []string{name}
	}
	for _, name := range names {
		f, err := lookAtFarm(ctx, s, name, now)
		if err != nil {
			return st, fmt.Errorf("reading farm %s: %w", name, err)
		}
		for _, kept := range d.Farms {
			f.Kept = f.Kept || kept == name
		}
		st.Farms = append(st.Farms, f)
	}
	return st, nil
}

func (st status) print(w io.Writer, p palette) error {
	var b strings.Builder
	sc := st.Sidecar
	switch {
	case sc.Running:
		fmt.Fprintf(&b, "%s %s, version %s, pid %d, up %s\n", p.bold("sidecar"), sc.ID, sc.Version, sc.PID, age(time.Since(sc.Started)))
	case sc.Problem != "":
		fmt.Fprintf(&b, "%s %s: %s\n", p.bold("sidecar"), p.bad("does not answer"), sc.Problem)
	default:
		fmt.Fprintf(&b, "%s %s\n", p.bold("sidecar"), p.bad("not running"))
	}
	if len(st.Farms) == 0 {
		b.WriteString("no farms\n")
	}
	for _, f := range st.Farms {
		f.print(&b, p)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (f farmStatus) print(b *strings.Builder, p palette) {
	fmt.Fprintf(b, "\n%s %s on %s, zone %s", p.bold("farm"), p.bold(f.Name), f.Platform, f.Zone)
	if f.Nameserver != "" {
		fmt.Fprintf(b, ", nameserver %s", f.Nameserver)
	}
	if f.Deleting {
		b.WriteString(", " + p.warn("being destroyed"))
	}
	if !f.Kept {
		b.WriteString(", " + p.bad("kept by nobody here"))
	}
	b.WriteString("\n\n")
	roles := [][]string{{"ROLE", "BEHAVIOR", "MIN", "SERVING", "COMING", "MAX", "DESIRED", "WHY"}}
	for _, r := range f.Roles {
		serving := fmt.Sprint(r.Serving)
		switch {
		case r.Serving == 0 && r.Min > 0:
			serving = p.bad(serving)
		case r.Serving < r.Min:
			serving = p.warn(serving)
		}
		why := r.Reason
		if r.Database != nil && r.Database.Failover != nil {
			why = p.warn(fmt.Sprintf("primary changes, step %q for %s", r.Database.Failover.Step, age(time.Since(r.Database.Failover.Since))))
		}
		if r.Deleting {
			why = "being destroyed"
		}
		roles = append(roles, []string{p.bold(r.Name), r.Behavior, fmt.Sprint(r.Min), serving, fmt.Sprint(r.Coming), fmt.Sprint(r.Max), fmt.Sprint(r.Desired), why})
	}
	table(b, roles)
	b.WriteString("\n")
	instances := [][]string{{"SERVER", "PHASE", "FOR", "ADDRESS", "LOAD", "CPU", "HEALTH"}}
	for _, i := range f.Instances {
		phase := string(i.Phase)
		switch i.Phase {
		case state.Running:
			phase = p.good(phase)
		case state.Failed:
			phase = p.bad(phase)
		default:
			phase = p.warn(phase)
		}
		name := i.Name
		if i.Primary {
			name += " (primary)"
		}
		load, cpu := "-", "-"
		if i.Load1 != nil {
			load, cpu = fmt.Sprintf("%.2f", *i.Load1), fmt.Sprintf("%.0f %%", *i.CPU*100)
		}
		health := i.Health
		if i.Phase == state.Running && !i.Healthy {
			health = p.bad(health)
		}
		instances = append(instances, []string{p.bold(name), phase, age(time.Since(i.Since)), i.Address, load, cpu, health})
	}
	if len(instances) > 1 {
		table(b, instances)
	} else {
		b.WriteString("no servers\n")
	}
}

// age is a duration as a person says it: "12s", "5m", "3h12m", "4d".
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
