package provider

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

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

// remove leaves the sidecar alone while farms remain that nobody else keeps (keepsFarms); else it ends the sidecar and removes what was
// made for it, and the store with it if nothing is declared in it any more.
func (r *sidecarResource) remove(ctx context.Context, m sidecarModel, patience time.Duration) error {
	id := m.ID.ValueString()
	s, err := r.openExisting(ctx)
	if err != nil && !errors.Is(err, errNoStore) {
		return err
	}
	if err == nil {
		if err := r.keeps(ctx, s, id); err != nil {
			return err
		}
	}
	if m.onEC2() {
		if err := r.undeploySidecar(ctx, id, patience); err != nil {
			return err
		}
		return r.removeEmptyStore(ctx)
	}
	dir, dirErr := r.stateDir()
	if dirErr != nil {
		return dirErr
	}
	// Stopped before the store changes under it; the record goes last, so that an interrupted removal is taken up again.
	if err := daemon.Remove(ctx, dir); err != nil {
		return err
	}
	if s != nil {
		if err := s.Delete(ctx, state.SidecarKey(id)); err != nil {
			return err
		}
	}
	return r.removeEmptyStore(ctx)
}

// keeps is a keepsFarms if farms remain and no other sidecar runs.
func (r *sidecarResource) keeps(ctx context.Context, s store.Store, id string) error {
	farms, err := store.ListJSON[state.FarmEntry](ctx, s, state.FarmIndexKey(""))
	if err != nil || len(farms) == 0 {
		return err
	}
	if r.remote() {
		alive, err := r.sidecarsAlive(ctx)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(alive, func(a state.Alive) bool { return a.Sidecar != id }) {
			return nil
		}
	}
	var names []string
	for _, f := range farms {
		names = append(names, f.Value.Name)
	}
	slices.Sort(names)
	return keepsFarms{names}
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
