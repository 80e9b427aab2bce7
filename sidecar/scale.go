package sidecar

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

const (
	// longestByHand: what is to last longer belongs into the configuration.
	longestByHand  = 30 * 24 * time.Hour
	shortestByHand = 10 * time.Second
	// byHandKept is how long the entry outlives its time, so that a sidecar that was away sees that it has run out.
	byHandKept = time.Hour
)

type scaleOptions struct {
	length         time.Duration
	because        string
	cancel, beyond bool
}

func newScale() *cobra.Command {
	var o scaleOptions
	cmd := &cobra.Command{
		Use:   "scale [FARM/]ROLE N --for DURATION --because TEXT",
		Short: "Set a role's number of servers by hand, for a while",
		Long: `Sets how many servers a role is to have, for a while and for a reason. Until then the number stands above what the
role's policies want, within its min and max; healing goes on as ever. It ends by itself, or with --cancel; the policies
then decide again. farmhand status, explain and events show it. Terraform does not notice: the number of servers is no
part of a configuration.`,
		Example: `  farmhand scale shop/web 6 --for 2h --because "the newsletter goes out at noon"
  farmhand scale web --cancel`,
		Args: cobra.RangeArgs(1, 2),
	}
	f := cmd.Flags()
	f.DurationVar(&o.length, "for", 0, "how long it holds, as in 30m, 2h")
	f.StringVar(&o.because, "because", "", "why, for whoever looks at it later")
	f.BoolVar(&o.cancel, "cancel", false, "take it back: the policies decide again")
	f.BoolVar(&o.beyond, "beyond", false, "go beyond the role's min and max: refused, they belong to the configuration")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n, err := o.check(args)
		if err != nil {
			return err
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
		var said string
		if o.cancel {
			said, err = takeBack(ctx, s, farm, role, time.Now())
		} else {
			said, err = o.set(ctx, s, farm, role, n, time.Now())
		}
		if err != nil {
			return err
		}
		if runs, err := anyRuns(ctx, s, dir, time.Now()); err == nil && !runs {
			said += "; no sidecar runs here now, it takes effect when one does"
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), said)
		return err
	}
	return cmd
}

func (o scaleOptions) check(args []string) (n int, err error) {
	if o.cancel {
		if len(args) != 1 || o.length != 0 || o.because != "" {
			return 0, usage("--cancel takes the role alone, as in: farmhand scale shop/web --cancel")
		}
		return 0, nil
	}
	if len(args) != 2 {
		return 0, usage("scale takes a role and a number, as in: farmhand scale shop/web 6 --for 2h --because \"the newsletter goes out\"")
	}
	if n, err = strconv.Atoi(args[1]); err != nil || n < 0 {
		return 0, usage("%q is no number of servers", args[1])
	}
	switch {
	case o.beyond:
		return 0, usage("--beyond is refused: min and max are what the configuration promises, to whoever pays and to whoever is served. Change them there and apply, which replaces no server")
	case o.length < shortestByHand || o.length > longestByHand:
		return 0, usage("--for says how long the number holds, from %s to %d days; what is to stay belongs into the configuration", shortestByHand, int(longestByHand.Hours())/24)
	case o.because == "":
		return 0, usage("--because says why: somebody will wonder at night why the policies are not obeyed")
	case len(o.because) > 500:
		return 0, usage("--because is %d bytes long, 500 are enough", len(o.because))
	}
	return n, nil
}

// set writes the number down.
func (o scaleOptions) set(ctx context.Context, s store.Store, farm, role string, n int, now time.Time) (string, error) {
	declared, _, err := store.GetJSON[state.Declared[spec.Role]](ctx, s, state.RoleKey(farm, role))
	if err != nil {
		return "", err
	}
	r := declared.Spec
	switch {
	case declared.Deleting:
		return "", fmt.Errorf("role %s/%s is being destroyed", farm, role)
	case n < r.Min || n > r.Max:
		return "", usage("%d is outside of what role %s/%s may have, %d to %d. Change its min or max in the configuration and apply, which replaces no server", n, farm, role, r.Min, r.Max)
	}
	m := state.Manual{N: n, Until: now.Add(o.length).UTC().Round(time.Second), Because: o.because, By: whoAmI(), At: now.UTC()}
	if _, err := store.PutJSON(ctx, s, state.ManualKey(farm, role), m, store.Expires(m.Until.Add(byHandKept))); err != nil {
		return "", err
	}
	return fmt.Sprintf("role %s/%s is to have %d of its %d to %d servers until %s; farmhand scale %s/%s --cancel takes it back",
		farm, role, n, r.Min, r.Max, m.Until.Local().Format("Mon 2 Jan 15:04:05 MST"), farm, role), nil
}

func takeBack(ctx context.Context, s store.Store, farm, role string, now time.Time) (string, error) {
	m, revision, err := store.GetJSON[state.Manual](ctx, s, state.ManualKey(farm, role))
	if errors.Is(err, store.ErrNotFound) || err == nil && !m.Active(now) {
		return "", absent("no number is set by hand for %s/%s", farm, role)
	}
	if err != nil {
		return "", err
	}
	if err := s.Delete(ctx, state.ManualKey(farm, role), store.If(store.At(revision))); err != nil {
		return "", err
	}
	return fmt.Sprintf("the number %d that %s set for role %s/%s is taken back: its policies decide again", m.N, m.By, farm, role), nil
}

// whoAmI is user@host.
func whoAmI() string {
	name := os.Getenv("SUDO_USER")
	if u, err := user.Current(); err == nil && name == "" {
		name = u.Username
	}
	if name == "" {
		name = "somebody"
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}
