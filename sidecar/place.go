package sidecar

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/sqlite"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/stores"
)

// stateDir is the folder that the command is about.
func stateDir(cmd *cobra.Command) (string, error) {
	dir, err := cmd.Flags().GetString("state-dir")
	switch {
	case err != nil:
		return "", err
	case dir != "":
		return filepath.Abs(dir)
	}
	return daemon.StateDir()
}

// storeAddress is where the store is that the command is about; "" for the file in the state directory.
func storeAddress(cmd *cobra.Command) string {
	if address, err := cmd.Flags().GetString("store"); err == nil && address != "" {
		return address
	}
	return os.Getenv(daemon.StoreVariable)
}

// openStore opens a store for looking at, the one in dir where address is empty; it makes none.
func openStore(ctx context.Context, dir, address string) (store.Store, error) {
	if address != "" {
		s, _, err := stores.Open(ctx, address, stores.Options{AWS: cloudConfig, ReadOnly: true})
		if errors.Is(err, store.ErrNotFound) {
			return nil, absent("%s", err)
		}
		return s, err
	}
	path := daemon.DatabasePath(dir)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil, absent("there is no store in %s: nothing was applied yet, or with another state directory (--state-dir)", dir)
	}
	return sqlite.Open(ctx, path)
}

// storeOf opens the store of the folder that the command is about.
func storeOf(cmd *cobra.Command) (s store.Store, dir string, err error) {
	if dir, err = stateDir(cmd); err != nil {
		return nil, "", err
	}
	s, err = openStore(cmd.Context(), dir, storeAddress(cmd))
	return s, dir, err
}

// farmNames are the farms of a store, sorted.
func farmNames(ctx context.Context, s store.Store) ([]string, error) {
	entries, err := s.List(ctx, state.FarmIndexKey(""))
	if err != nil {
		return nil, fmt.Errorf("listing the farms: %w", err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimPrefix(e.Key, state.FarmIndexKey("")))
	}
	return names, nil
}

// theFarm is the one that args name, or the only one that there is.
func theFarm(ctx context.Context, s store.Store, args []string) (string, error) {
	names, err := farmNames(ctx, s)
	switch {
	case err != nil:
		return "", err
	case len(args) > 0 && !slices.Contains(names, args[0]):
		return "", absent("there is no farm %q; there %s", args[0], areFarms(names))
	case len(args) > 0:
		return args[0], nil
	case len(names) == 1:
		return names[0], nil
	case len(names) == 0:
		return "", absent("there is no farm: nothing was applied yet")
	}
	return "", usage("there are several farms: name one of %s", strings.Join(names, ", "))
}

func areFarms(names []string) string {
	switch len(names) {
	case 0:
		return "is none at all"
	case 1:
		return "is " + names[0]
	}
	return "are " + strings.Join(names, ", ")
}
