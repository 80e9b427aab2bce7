package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/behaviors"
	"github.com/farmhand/terraform-provider-farmhand/internal/controller"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

var (
	_ resource.ResourceWithConfigure   = (*roleResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*roleResource)(nil)
	_ resource.ResourceWithImportState = (*roleResource)(nil)
)

const (
	roleCreateTimeout = 10 * time.Minute
	roleUpdateTimeout = 30 * time.Minute // one server at a time
	roleDeleteTimeout = 10 * time.Minute
)

type roleResource struct{ resourceBackend }

func newRoleResource() resource.Resource { return &roleResource{} }

func (r *roleResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = "farmhand_role"
}

// Create declares the role and waits for it. One that does not come up is removed again, so that the next apply starts
// afresh; one whose wait was interrupted stays in the state as tainted.
func (r *roleResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m, config roleModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	role := m.spec(ctx, &resp.Diagnostics)
	role.Secrets = config.secretNames()
	timeout, d := m.Timeouts.Create(ctx, roleCreateTimeout)
	resp.Diagnostics.Append(d...)
	if resp.Diagnostics.HasError() {
		return
	}
	s, err := r.open(ctx)
	if err != nil {
		resp.Diagnostics.AddError("The store cannot be opened", sentence(err.Error()))
		return
	}
	farm, ok := r.farmOf(ctx, s, role, &resp.Diagnostics)
	if !ok {
		return
	}
	addProblems(&resp.Diagnostics, r.validate(ctx, s, &farm, role))
	if resp.Diagnostics.HasError() || !r.requireSidecar(ctx, path.Root("farm"), farm.Sidecar, &resp.Diagnostics) {
		return
	}

	if err := r.allowBackups(ctx, s, farm, role); err != nil {
		resp.Diagnostics.AddAttributeError(path.Root("backup"), "Servers cannot be allowed to reach their backups", sentence(err.Error()))
		return
	}
	address, err := r.declare(ctx, s, role, config.allSecrets(ctx, &resp.Diagnostics))
	if errors.Is(err, store.ErrConflict) {
		addTaken(&resp.Diagnostics, "role", takenRole(role))
		return
	}
	if err == nil {
		m.ID = types.StringValue(role.ID())
		m.Address = types.StringValue(address)
		markOwned(ctx, resp.Private, state.RoleKey(role.Farm, role.Name), &resp.Diagnostics)
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
		if m.waits() {
			err = r.waitServing(ctx, s, farm, role, timeout)
		}
		if err == nil {
			return
		}
	}
	resp.Diagnostics.AddError(fmt.Sprintf("Role %s does not come up", role.ID()), capital(err.Error()))
	undoCreate(ctx, resp, func(cleanup context.Context) error { return r.destroyRole(cleanup, s, role.Farm, role.Name) })
}

// declare writes a new role with what belongs to it; ErrConflict if its name is taken. The role itself comes last:
// the sidecar sees it with its credentials, or not at all.
func (r *roleResource) declare(ctx context.Context, s store.Store, role spec.Role, secrets map[string]string) (address string, err error) {
	if _, err := s.Get(ctx, state.RoleKey(role.Farm, role.Name)); err == nil {
		return "", store.ErrConflict
	}
	credentials := map[string]string{}
	if b, ok := behaviors.Get(role.Behavior); ok {
		for name, v := range b.NewSecret(role) {
			credentials[name] = v
		}
	}
	for name, v := range secrets {
		credentials[name] = v
	}
	if _, err := store.PutJSON(ctx, s, state.SecretKey(role.Farm, role.Name), credentials); err != nil {
		return "", fmt.Errorf("declaring role %s: %w", role.ID(), err)
	}
	address, err = controller.EnsureAddress(ctx, s, role.Farm, state.InstanceName(role.Name, 1))
	if err != nil {
		return "", fmt.Errorf("declaring role %s: %w", role.ID(), err)
	}
	_, err = store.PutJSON(ctx, s, state.RoleKey(role.Farm, role.Name), state.Declared[spec.Role]{Spec: role}, store.If(store.Absent()))
	return address, err
}

func takenRole(role spec.Role) string {
	return fmt.Sprintf("name: farm %s has a role %q that is not in this configuration's state. Choose another name, or take it over with "+
		"`terraform import farmhand_role.<name> %s`.", role.Farm, role.Name, role.ID())
}

func (r *roleResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m roleModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	what := "role " + m.ID.ValueString()
	farm, name, ok := strings.Cut(m.ID.ValueString(), "/")
	if !ok {
		resp.Diagnostics.AddError("Not a role's id", fmt.Sprintf("%q is not a role's id: write it as farm/role.", m.ID.ValueString()))
		return
	}
	key := state.RoleKey(farm, name)
	s, declared, ok := readDeclared[state.Declared[spec.Role]](ctx, r.backend, what, key, resp)
	if !ok {
		return
	}
	address, _, err := store.GetJSON[state.Address](ctx, s, state.AddressKey(farm, state.InstanceName(name, 1)))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		addReadError(&resp.Diagnostics, what, err)
		return
	}
	r.saw(key)
	m.fill(ctx, declared.Spec, &resp.Diagnostics)
	m.Address = types.StringValue(address.Address)
	if declared.Deleting {
		warnDeleting(what, &resp.Diagnostics)
	}
	markOwned(ctx, resp.Private, key, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// Update declares anew and waits. New instances that do not come up put the former declaration back: servers of
// the former generation are then still there, or come back.
func (r *roleResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var m, former, config roleModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &former)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	role := m.spec(ctx, &resp.Diagnostics)
	timeout, d := m.Timeouts.Update(ctx, roleUpdateTimeout)
	resp.Diagnostics.Append(d...)
	if resp.Diagnostics.HasError() {
		return
	}
	s, err := r.open(ctx)
	if err != nil {
		resp.Diagnostics.AddError("The store cannot be opened", sentence(err.Error()))
		return
	}
	farm, ok := r.farmOf(ctx, s, role, &resp.Diagnostics)
	if !ok {
		return
	}
	change, err := r.prepare(ctx, s, role, &config, &resp.Diagnostics)
	if err != nil {
		resp.Diagnostics.AddError(fmt.Sprintf("Role %s cannot be declared", role.ID()), sentence(err.Error()))
		return
	}
	addProblems(&resp.Diagnostics, r.validate(ctx, s, &farm, change.role))
	if resp.Diagnostics.HasError() {
		return
	}
	if m.waits() && !r.requireSidecar(ctx, path.Root("farm"), farm.Sidecar, &resp.Diagnostics) {
		return
	}
	if err := r.allowBackups(ctx, s, farm, change.role); err != nil {
		resp.Diagnostics.AddAttributeError(path.Root("backup"), "Servers cannot be allowed to reach their backups", sentence(err.Error()))
		return
	}
	if err := change.apply(ctx, s); err != nil {
		resp.Diagnostics.AddError(fmt.Sprintf("Role %s cannot be declared", role.ID()), sentence(err.Error()))
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
	if !m.waits() {
		return
	}
	err = r.waitServing(ctx, s, farm, change.role, timeout)
	var failed *launchFailedError
	switch {
	case err == nil:
	case errors.As(err, &failed):
		resp.Diagnostics.AddError(fmt.Sprintf("Role %s does not come up as declared", role.ID()), capital(err.Error()))
		if undoErr := change.undo(context.WithoutCancel(ctx), s); undoErr != nil {
			resp.Diagnostics.AddError("The former declaration cannot be put back", sentence(undoErr.Error()))
			return
		}
		resp.Diagnostics.AddWarning(fmt.Sprintf("Role %s goes on as it was", role.ID()),
			"Its former declaration was put back, and servers that were replaced already are replaced again. The change is in the next plan.")
		resp.Diagnostics.Append(resp.State.Set(ctx, former)...)
	default:
		resp.Diagnostics.AddError(fmt.Sprintf("Role %s does not serve as declared yet", role.ID()),
			capital(err.Error())+"\n\nThe sidecar goes on with it: see `farmhand events`.")
	}
}

func (r *roleResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m roleModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	timeout, d := m.Timeouts.Delete(ctx, roleDeleteTimeout)
	resp.Diagnostics.Append(d...)
	if resp.Diagnostics.HasError() {
		return
	}
	r.destroyIn(ctx, timeout, "Role "+m.ID.ValueString(), &resp.Diagnostics, func(ctx context.Context, s store.Store) error {
		return r.destroyRole(ctx, s, m.Farm.normal(), m.Name.normal())
	})
}

func (r *roleResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	importPath(ctx, req, resp, "role", "farm/role", "shop/web")
}

// farmOf is the farm that the role is declared in.
func (r *roleResource) farmOf(ctx context.Context, s store.Store, role spec.Role, diags *diag.Diagnostics) (spec.Farm, bool) {
	declared, _, err := store.GetJSON[state.Declared[spec.Farm]](ctx, s, state.FarmKey(role.Farm))
	switch {
	case errors.Is(err, store.ErrNotFound):
		diags.AddAttributeError(path.Root("farm"), "There is no such farm",
			fmt.Sprintf("farm: %q is not declared in this store. Name a farm by farmhand_farm.<name>.name, so that it is made first.", role.Farm))
	case err != nil:
		addReadError(diags, "farm "+role.Farm, err)
	case declared.Deleting:
		diags.AddAttributeError(path.Root("farm"), "The farm is being destroyed", fmt.Sprintf("farm: %q is being destroyed; let that end first.", role.Farm))
	default:
		return declared.Spec, true
	}
	return spec.Farm{}, false
}
