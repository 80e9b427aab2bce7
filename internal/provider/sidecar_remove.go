package provider

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// remove refuses while farms remain, ends the sidecar and removes its files, and the store with them if nothing is
// declared in it any more.
func (r *sidecarResource) remove(ctx context.Context) error {
	dir, err := r.stateDir()
	if err != nil {
		return err
	}
	s, err := r.openExisting(ctx)
	if errors.Is(err, errNoStore) {
		return daemon.Remove(ctx, dir)
	}
	if err != nil {
		return err
	}
	farms, err := store.ListJSON[state.FarmEntry](ctx, s, state.FarmIndexKey(""))
	if err != nil {
		return err
	}
	if len(farms) > 0 {
		var names []string
		for _, f := range farms {
			names = append(names, f.Value.Name)
		}
		slices.Sort(names)
		return fmt.Errorf("it keeps %s, which nobody would heal or scale without it. Destroy them first; "+
			"one that is in no configuration any more can be imported as a farmhand_farm", strings.Join(names, ", "))
	}
	// Stopped before the store changes under it; the record goes last, so that an interrupted removal is taken up again.
	if err := daemon.Remove(ctx, dir); err != nil {
		return err
	}
	if err := s.Delete(ctx, state.SidecarKey(localSidecar)); err != nil {
		return err
	}
	left, err := s.List(ctx, state.Shared+"/", store.Limit(1))
	if err != nil || len(left) > 0 {
		return err
	}
	r.close()
	return removeStore(dir)
}

// removeStore removes the files of a store in which nothing is declared, and the folder if it is then empty.
func removeStore(dir string) error {
	files, err := filepath.Glob(daemon.DatabasePath(dir) + "*")
	if err != nil {
		return err
	}
	for _, f := range append(files, daemon.BlobsPath(dir)) {
		if err := os.RemoveAll(f); err != nil {
			return fmt.Errorf("removing the empty store: %w", err)
		}
	}
	_ = os.Remove(dir) // it stays if somebody keeps something else in it
	return nil
}
