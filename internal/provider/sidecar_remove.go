package provider

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/stores"
)

// keepsFarms is why a sidecar stays: other configurations have farms that it keeps.
type keepsFarms struct{ names []string }

func (k keepsFarms) Error() string {
	return fmt.Sprintf("it keeps %s, which nobody would heal or scale without it. It goes with the last of them; "+
		"one that is in no configuration any more can be imported as a farmhand_farm", strings.Join(k.names, ", "))
}

// remove leaves the sidecar alone while farms remain (keepsFarms); else it ends the sidecar and removes its files, and the store with them if nothing is
// declared in it any more.
func (r *sidecarResource) remove(ctx context.Context) error {
	dir, err := r.stateDir()
	if err != nil {
		return err
	}
	s, err := r.openExisting(ctx)
	if errors.Is(err, errNoStore) {
		if err := daemon.Remove(ctx, dir); err != nil {
			return err
		}
		return r.removeEmptyStore(ctx)
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
		return keepsFarms{names}
	}
	// Stopped before the store changes under it; the record goes last, so that an interrupted removal is taken up again.
	if err := daemon.Remove(ctx, dir); err != nil {
		return err
	}
	if err := s.Delete(ctx, state.SidecarKey(localSidecar)); err != nil {
		return err
	}
	return r.removeEmptyStore(ctx)
}

// removeEmptyStore removes the files of a store in which nothing is declared any more, with the releases, and the
// folder if it is then empty. It is called by whatever may have been the last thing in it; Terraform destroys the
// last ones side by side. A sidecar that runs has it open, so that it stays.
func (b *backend) removeEmptyStore(ctx context.Context) error {
	b.removing.Lock()
	defer b.removing.Unlock()
	dir, err := b.stateDir()
	if err != nil {
		return err
	}
	if !errors.Is(b.sidecarRuns(ctx), daemon.ErrNotRunning) {
		return nil
	}
	if b.remote() {
		return b.removeEmptyRemote(ctx, dir)
	}
	s, err := b.openExisting(ctx)
	if err != nil && !errors.Is(err, errNoStore) {
		return err
	}
	if err == nil {
		left, err := s.List(ctx, state.Shared+"/", store.Limit(1))
		if err != nil || len(left) > 0 {
			return err
		}
		b.close()
	}
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

// removeEmptyRemote is removeEmptyStore for one in AWS. What farmhand did not make stays.
func (b *backend) removeEmptyRemote(ctx context.Context, dir string) error {
	s, err := b.openExisting(ctx)
	if errors.Is(err, errNoStore) {
		_ = os.Remove(dir)
		return nil
	}
	if err != nil {
		return err
	}
	left, err := s.List(ctx, state.Shared+"/")
	if err != nil {
		return err
	}
	for _, e := range left {
		if !strings.HasPrefix(e.Key, state.AlivePrefix()) {
			return nil
		}
	}
	for _, e := range left { // of sidecars that were killed: those that run were asked before
		if err := s.Delete(ctx, e.Key); err != nil {
			return err
		}
	}
	address, err := b.address(ctx)
	if err != nil {
		return err
	}
	b.close()
	kept, err := stores.Remove(ctx, address.String(), stores.Options{AWS: b.awsConfig})
	if err != nil {
		return fmt.Errorf("removing the empty store: %w", err)
	}
	if len(kept) > 0 {
		tflog.Info(ctx, "of the store there stays", map[string]any{"kept": kept})
	}
	_ = os.Remove(dir)
	return nil
}
