package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

var (
	_ resource.ResourceWithConfigure        = (*scalingPolicyResource)(nil)
	_ resource.ResourceWithConfigValidators = (*scalingPolicyResource)(nil)
	_ resource.ResourceWithModifyPlan       = (*scalingPolicyResource)(nil)
	_ resource.ResourceWithImportState      = (*scalingPolicyResource)(nil)
)

type scalingPolicyResource struct{ resourceBackend }

func newScalingPolicyResource() resource.Resource { return &scalingPolicyResource{} }

func (r *scalingPolicyResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = "farmhand_scaling_policy"
}

// ModifyPlan makes the name and defaults known, and holds the policy against the role's others.
func (r *scalingPolicyResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if r.backend == nil {
		return
	}
	if req.Plan.Raw.IsNull() {
		var m scalingPolicyModel
		resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
		p := m.spec(ctx, &resp.Diagnostics)
		r.plan(state.PolicyKey(p.Farm, p.Role, p.Name), nil)
		return
	}
	var plan, config scalingPolicyModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if config.Name.IsNull() {
		plan.Name = text{in: nameNotation} // the default follows the metric, also when that changes
	}
	p := plan.spec(ctx, &resp.Diagnostics)
	plan.planDefaults(ctx, config, p, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if !req.State.Raw.IsNull() {
		var former scalingPolicyModel
		resp.Diagnostics.Append(req.State.Get(ctx, &former)...)
		if former.Name.normal() != p.Name {
			resp.RequiresReplace.Append(path.Root("name"))
		}
	}
	if plan.Role.IsUnknown() || plan.Name.IsUnknown() {
		return
	}
	key := state.PolicyKey(p.Farm, p.Role, p.Name)
	if req.State.Raw.IsNull() && !isOwned(ctx, req.Private, key) {
		_, planned := plannedAs[spec.Policy](r.backend, key)
		taken, err := r.taken(ctx, key)
		switch {
		case err != nil:
			resp.Diagnostics.AddError("The store cannot be read", sentence(err.Error()))
		case taken || planned && !isPlanned(ctx, req.Private, key):
			addTaken(&resp.Diagnostics, "policy", takenPolicy(p))
		}
	}
	markPlanned(ctx, resp.Private, key, &resp.Diagnostics)
	if !req.Config.Raw.IsFullyKnown() {
		return
	}
	r.plan(key, p)
	s, err := r.openExisting(ctx)
	if err != nil && !noStoreYet(err) {
		resp.Diagnostics.AddError("The store cannot be read", sentence(err.Error()))
		return
	}
	problems, err := r.validateSoon(ctx, s, p)
	if err != nil {
		resp.Diagnostics.AddError("The store cannot be read", sentence(err.Error()))
		return
	}
	addProblems(&resp.Diagnostics, problems)
}

func takenPolicy(p spec.Policy) string {
	return fmt.Sprintf("name: role %s/%s has another policy %q. Give this one a name of its own: name = \"...\".", p.Farm, p.Role, p.Name)
}

// validate checks the policy by itself, within its role, and against those of the role's other policies that are known.
func (r *scalingPolicyResource) validate(ctx context.Context, s store.Store, p spec.Policy) ([]spec.Problem, error) {
	problems := p.Validate()
	if hasErrors(problems) {
		return problems, nil
	}
	all, err := r.declaredPolicies(ctx, s, p.Farm, p.Role)
	if err != nil {
		return nil, err
	}
	others := slices.DeleteFunc(all, func(o spec.Policy) bool { return o.Name == p.Name || hasErrors(o.Validate()) })
	role, ok := plannedAs[spec.Role](r.backend, state.RoleKey(p.Farm, p.Role))
	if !ok {
		if stored := storedRole(ctx, s, p.Farm, p.Role); stored != nil {
			role, ok = *stored, true
		}
	}
	if !ok {
		return problems, nil // its role is not known yet: the apply asks again
	}
	return append(problems, p.ValidateBeside(role, others)...), nil
}

// validateSoon gives a policy that the store holds some time to go, if this one contradicts it and the plan does not
// name it: the same apply may be removing it, side by side with this, in whatever order.
func (r *scalingPolicyResource) validateSoon(ctx context.Context, s store.Store, p spec.Policy) ([]spec.Problem, error) {
	const patience = 5 * time.Second
	for began := time.Now(); ; {
		problems, err := r.validate(ctx, s, p)
		if err != nil || !hasErrors(problems) || time.Since(began) > patience {
			return problems, err
		}
		if lasting, err := r.validate(ctx, nil, p); err != nil || hasErrors(lasting) {
			return problems, err
		}
		select {
		case <-ctx.Done():
			return problems, nil
		case <-time.After(patience / 20):
		}
	}
}

// warnSet says what the role's policies lack together. A plan comes by them one after the other and cannot tell which
// are still to come, so that only what was applied is judged, once: by the first policy of the set.
func (r *scalingPolicyResource) warnSet(ctx context.Context, s store.Store, p spec.Policy, diags *diag.Diagnostics) {
	role := storedRole(ctx, s, p.Farm, p.Role)
	items, err := store.ListJSON[spec.Policy](ctx, s, state.PolicyKey(p.Farm, p.Role, ""))
	if role == nil || err != nil || len(items) == 0 || items[0].Value.Name != p.Name {
		return
	}
	var policies []spec.Policy
	for _, it := range items {
		policies = append(policies, it.Value)
	}
	for _, problem := range spec.ValidatePolicies(*role, policies) {
		problem.Attribute, problem.Warning = "", true // it is about the set, and this is a refresh
		addProblems(diags, []spec.Problem{problem})
	}
}

func (r *scalingPolicyResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m scalingPolicyModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if !r.put(ctx, &m, store.Absent(), &resp.Diagnostics) {
		return
	}
	r.putSecret(ctx, m, req.Config, &resp.Diagnostics)
	markOwned(ctx, resp.Private, m.key(), &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (r *scalingPolicyResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var m scalingPolicyModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if r.put(ctx, &m, store.Always(), &resp.Diagnostics) {
		r.putSecret(ctx, m, req.Config, &resp.Diagnostics)
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
	}
}

// put checks the policy against what the store holds now, and writes it.
func (r *scalingPolicyResource) put(ctx context.Context, m *scalingPolicyModel, condition store.Condition, diags *diag.Diagnostics) bool {
	p := m.spec(ctx, diags)
	if diags.HasError() {
		return false
	}
	s, err := r.open(ctx)
	if err != nil {
		diags.AddError("The store cannot be opened", sentence(err.Error()))
		return false
	}
	if !requireRole(ctx, s, p.Farm, p.Role, m.Role, diags) {
		return false
	}
	problems, err := r.validateSoon(ctx, s, p)
	if err != nil {
		diags.AddError("The store cannot be read", sentence(err.Error()))
		return false
	}
	addProblems(diags, problems)
	if diags.HasError() {
		return false
	}
	_, err = store.PutJSON(ctx, s, state.PolicyKey(p.Farm, p.Role, p.Name), p, store.If(condition))
	switch {
	case errors.Is(err, store.ErrConflict):
		addTaken(diags, "policy", takenPolicy(p))
		return false
	case err != nil:
		diags.AddError("The policy cannot be declared", sentence(err.Error()))
		return false
	}
	m.Metric = settled(ctx, m.Metric, p.Metric, diags)
	m.ID, m.Name = types.StringValue(p.ID()), keepText(m.Name, p.Name)
	return true
}

func (r *scalingPolicyResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m scalingPolicyModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	what := "scaling policy " + m.ID.ValueString()
	parts := strings.Split(m.ID.ValueString(), "/")
	if len(parts) != 3 {
		resp.Diagnostics.AddError("Not a policy's id", fmt.Sprintf("%q is not a policy's id: write it as farm/role/policy.", m.ID.ValueString()))
		return
	}
	key := state.PolicyKey(parts[0], parts[1], parts[2])
	s, p, ok := readDeclared[spec.Policy](ctx, r.backend, what, key, resp)
	if !ok {
		return
	}
	r.saw(key)
	m.fill(ctx, p, &resp.Diagnostics)
	r.warnSet(ctx, s, p, &resp.Diagnostics)
	markOwned(ctx, resp.Private, key, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (r *scalingPolicyResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m scalingPolicyModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	p := m.spec(ctx, &resp.Diagnostics)
	if !resp.Diagnostics.HasError() {
		r.deleteKey(ctx, "scaling policy "+p.ID(), state.PolicyKey(p.Farm, p.Role, p.Name), &resp.Diagnostics)
		r.deleteKey(ctx, "the secret of scaling policy "+p.ID(), state.PolicySecretKey(p.Farm, p.Role, p.Name), &resp.Diagnostics)
	}
}

func (r *scalingPolicyResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	importPath(ctx, req, resp, "policy", "farm/role/policy", "shop/web/load_average")
}
