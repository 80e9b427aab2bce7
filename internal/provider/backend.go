package provider

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/dirblobs"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/sqlite"
)

// errNoStore: there is no store file. Unlike a store that cannot be read, this means that nothing is declared in it.
var errNoStore = errors.New("no store")

// backend reaches the store and the blobs of one state directory, opened at first use and shared by all resources.
type backend struct {
	version string
	dir     string // as configured; "" for the default
	unknown bool   // dir is known only after apply
	cloud   cloud  // where the store is in AWS, and how that is reached

	removing sync.Mutex // one at a time removes the store

	mu    sync.Mutex
	store store.Store
	blobs store.Blobs // of a store in AWS
	// writable: a store in AWS was opened by making what it lacks, and not only to be looked at.
	writable bool
	// seen are the keys that a refresh of this run found to be in Terraform's state: their names are not taken by
	// others, also where the plan replaces them and has therefore no former state to show.
	seen map[string]bool
	// planned are declarations by key, as this run's plan has them: what depends on them is planned after them and can
	// be checked against them before anything is made.
	planned map[string]any
}

// stateDir is the folder that everything of this provider's configuration lives in.
func (b *backend) stateDir() (string, error) {
	if b.unknown {
		return "", errors.New("the provider's state_dir is known only after apply: give it a value that does not depend on a resource")
	}
	if b.dir != "" {
		return filepath.Abs(b.dir)
	}
	return daemon.StateDir()
}

// open opens the store, making it if there is none.
func (b *backend) open(ctx context.Context) (store.Store, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.store != nil && (!b.remote() || b.writable) {
		return b.store, nil
	}
	if b.remote() {
		s, blobs, err := b.openRemote(ctx, false)
		if err != nil {
			return nil, err
		}
		b.store, b.blobs, b.writable = s, blobs, true
		return s, nil
	}
	dir, err := b.stateDir()
	if err != nil {
		return nil, err
	}
	if err := daemon.EnsureStateDir(dir); err != nil {
		return nil, err
	}
	s, err := sqlite.Open(ctx, daemon.DatabasePath(dir))
	if err != nil {
		return nil, fmt.Errorf("opening the store in %s: %w", dir, err)
	}
	b.store = s
	return s, nil
}

// openExisting is open for those who only read: it returns errNoStore instead of making one, as planning leaves no trace.
func (b *backend) openExisting(ctx context.Context) (store.Store, error) {
	if b.remote() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.store != nil {
			return b.store, nil
		}
		s, blobs, err := b.openRemote(ctx, true)
		if err != nil {
			return nil, err
		}
		b.store, b.blobs = s, blobs
		return s, nil
	}
	dir, err := b.stateDir()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(daemon.DatabasePath(dir)); errors.Is(err, fs.ErrNotExist) {
		b.close()
		return nil, errNoStore
	}
	return b.open(ctx)
}

// openBlobs opens the folder of releases, or the bucket, making it if there is none.
func (b *backend) openBlobs(ctx context.Context) (store.Blobs, error) {
	if b.remote() {
		if _, err := b.open(ctx); err != nil {
			return nil, err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.blobs, nil
	}
	dir, err := b.stateDir()
	if err != nil {
		return nil, err
	}
	return dirblobs.Open(daemon.BlobsPath(dir))
}

// close lets go of the store; the next open opens it anew.
func (b *backend) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.store != nil {
		_ = b.store.Close()
		b.store, b.blobs, b.writable = nil, nil, false
	}
}

// saw notes that Terraform's state holds what is under key.
func (b *backend) saw(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen == nil {
		b.seen = map[string]bool{}
	}
	b.seen[key] = true
}

// plan notes what is planned under key, nil for its end.
func (b *backend) plan(key string, declaration any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.planned == nil {
		b.planned = map[string]any{}
	}
	b.planned[key] = declaration
}

// plannedAs is what this run plans under key; ok is false if it plans nothing there.
func plannedAs[T any](b *backend, key string) (v T, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v, ok = b.planned[key].(T)
	return v, ok
}

// inState tells whether a refresh of this run found key in Terraform's state.
func (b *backend) inState(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen[key]
}

// taken tells whether key exists in the store though this run's state does not hold it.
func (b *backend) taken(ctx context.Context, key string) (bool, error) {
	if b.inState(key) {
		return false, nil
	}
	s, err := b.openExisting(ctx)
	if noStoreYet(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = s.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// isGone tells whether err says that a thing does not exist, as opposed to that nothing is known.
func isGone(err error) bool { return errors.Is(err, store.ErrNotFound) || errors.Is(err, errNoStore) }

// resourceBackend gives a resource its backend; embedded by each.
type resourceBackend struct{ *backend }

func (r *resourceBackend) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	if b, ok := req.ProviderData.(*backend); ok {
		r.backend = b
	}
}

// dataSourceBackend is the same for data sources.
type dataSourceBackend struct{ *backend }

func (d *dataSourceBackend) Configure(_ context.Context, req datasource.ConfigureRequest, _ *datasource.ConfigureResponse) {
	if b, ok := req.ProviderData.(*backend); ok {
		d.backend = b
	}
}

// deleteKey removes a declaration that nothing waits for; one that is gone already is no error.
func (b *backend) deleteKey(ctx context.Context, what, key string, diags *diag.Diagnostics) {
	s, err := b.openExisting(ctx)
	if err == nil {
		err = s.Delete(ctx, key)
	}
	if err != nil && !isGone(err) {
		diags.AddError("The "+what+" cannot be removed", sentence(err.Error()))
	}
}
