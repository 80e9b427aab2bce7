package sidecar

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

func newProtect() *cobra.Command {
	var off bool
	cmd := &cobra.Command{
		Use:   "protect [FARM/]SERVER",
		Short: "Keep a server when its role shrinks",
		Long: `Marks a server so that it is not chosen to leave when its role shrinks, for as long as it lives: for a look at it, or
for a job that must not be cut off. It is replaced all the same when it is sick or when its role is rolled out, and
ends with its role. --off takes the mark away.`,
		Example: `  farmhand protect shop/web-2
  farmhand protect web-2 --off`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&off, "off", false, "let it leave again")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		s, _, err := storeOf(cmd)
		if err != nil {
			return err
		}
		defer s.Close()
		role, index, ok := cutIndex(args[0])
		if !ok {
			return usage("%q is no server: write it as in shop/web-2", args[0])
		}
		farm, role, err := theRole(ctx, s, role)
		if err != nil {
			return err
		}
		said, err := protect(ctx, s, farm, state.InstanceName(role, index), !off)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), said)
		return err
	}
	return cmd
}

// cutIndex parts "shop/web-2" into "shop/web" and 2.
func cutIndex(server string) (role string, index int, ok bool) {
	i := strings.LastIndexByte(server, '-')
	if i < 1 {
		return "", 0, false
	}
	index, err := strconv.Atoi(server[i+1:])
	return server[:i], index, err == nil && index > 0
}

// protectTries: the sidecar writes to a record a few times in its life, and seldom twice in a row.
const protectTries = 5

// protect marks the record of a server that serves; of others the sidecar's own writes come first.
func protect(ctx context.Context, s store.Store, farm, name string, on bool) (string, error) {
	for try := 1; ; try++ {
		in, revision, err := store.GetJSON[state.Instance](ctx, s, state.InstanceKey(farm, name))
		switch {
		case errors.Is(err, store.ErrNotFound):
			return "", absent("farm %s has no server %s; farmhand status %s shows those that it has", farm, name, farm)
		case err != nil:
			return "", err
		case in.Phase != state.Running:
			return "", absent("%s/%s does not serve, it is %s: only a server that serves can be kept", farm, name, in.Phase)
		}
		in.Protected = on
		_, err = store.PutJSON(ctx, s, state.InstanceKey(farm, name), in, store.If(store.At(revision)))
		switch {
		case err == nil && on:
			return fmt.Sprintf("%s/%s is not chosen to leave when its role shrinks; farmhand protect %s/%s --off lets it", farm, name, farm, name), nil
		case err == nil:
			return fmt.Sprintf("%s/%s may leave again when its role shrinks", farm, name), nil
		case !errors.Is(err, store.ErrConflict) || try == protectTries:
			return "", fmt.Errorf("marking %s: %w", name, err)
		}
	}
}
