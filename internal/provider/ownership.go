package provider

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// unknownID plans an id as known after apply.
var unknownID = types.StringUnknown()

// ownedKey marks, in Terraform's private state, the store's key of what this configuration made or imported. When a change replaces a
// resource, Terraform plans the new one without a former state but with the private state: so its own name is not
// mistaken for one that another has taken.
const ownedKey = "owned"

type privateSetter interface {
	SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
}

type privateGetter interface {
	GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
}

func markOwned(ctx context.Context, private privateSetter, key string, diags *diag.Diagnostics) {
	diags.Append(private.SetKey(ctx, ownedKey, []byte(strconv.Quote(key)))...) // a JSON string
}

// isOwned tells whether what is under key is this resource's own former self.
func isOwned(ctx context.Context, private privateGetter, key string) bool {
	v, _ := private.GetKey(ctx, ownedKey)
	return string(v) == strconv.Quote(key)
}

// plannedKey marks, in the private part of a plan, the name that the plan gives. A replacement is planned twice, first as
// a change and then as a creation: the second time its name is not taken by the first.
const plannedKey = "planned"

func markPlanned(ctx context.Context, private privateSetter, key string, diags *diag.Diagnostics) {
	diags.Append(private.SetKey(ctx, plannedKey, []byte(strconv.Quote(key)))...)
}

func isPlanned(ctx context.Context, private privateGetter, key string) bool {
	v, _ := private.GetKey(ctx, plannedKey)
	return string(v) == strconv.Quote(key)
}

// warnDeleting tells of a destroy that was interrupted. The thing stays in the state, so that another destroy resumes.
func warnDeleting(what string, diags *diag.Diagnostics) {
	diags.AddWarning("The "+what+" is being destroyed",
		"A destroy of it was interrupted. Another one resumes it; an apply ends it and makes it anew.")
}

// planResumedDestroy plans a replacement of what an interrupted destroy left: it cannot be un-destroyed.
func (b *backend) planResumedDestroy(ctx context.Context, key string, resp *resource.ModifyPlanResponse) {
	s, err := b.openExisting(ctx)
	if err != nil {
		return // the refresh has told
	}
	declared, _, err := store.GetJSON[state.Declared[struct{}]](ctx, s, key)
	if err == nil && declared.Deleting {
		resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("id"), unknownID)...)
		resp.RequiresReplace.Append(path.Root("id"))
	}
}

// requireSidecar tells whether a sidecar runs, and what to do if not: nothing that waits for one would ever end.
func (b *backend) requireSidecar(ctx context.Context, at path.Path, id string, diags *diag.Diagnostics) bool {
	err := b.sidecarRuns(ctx)
	if err == nil {
		return true
	}
	detail := fmt.Sprintf("%s: sidecar %q does not run, so nobody would launch anything. "+
		"Declare it as a farmhand_sidecar and refer to its id, so that this apply starts it first, or run `farmhand run`.", at, id)
	if !errors.Is(err, daemon.ErrNotRunning) {
		detail = fmt.Sprintf("%s: sidecar %q cannot be asked: %s.", at, id, err)
	}
	diags.AddAttributeError(at, "No sidecar runs", detail)
	return false
}

// sidecarRuns returns nil or an error; daemon.ErrNotRunning is the one that is certain.
func (b *backend) sidecarRuns(ctx context.Context) error {
	dir, err := b.stateDir()
	if err != nil {
		return err
	}
	if _, err = daemon.Find(ctx, dir); err == nil || !b.remote() {
		return err
	}
	alive, remoteErr := b.sidecarsAlive(ctx)
	if remoteErr != nil && !isGone(remoteErr) {
		return remoteErr
	}
	for _, a := range alive {
		if a.Sidecar != localSidecar { // this machine's was asked
			return nil
		}
	}
	return err
}

// sidecarsAlive are those that say in the store that they run.
func (b *backend) sidecarsAlive(ctx context.Context) (alive []state.Alive, err error) {
	s, err := b.openExisting(ctx)
	if err != nil {
		return nil, err
	}
	all, err := store.ListJSON[state.Alive](ctx, s, state.AlivePrefix())
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if a.Value.Lives(time.Now()) {
			alive = append(alive, a.Value)
		}
	}
	return alive, nil
}
