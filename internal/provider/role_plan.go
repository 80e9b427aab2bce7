package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/behaviors"
	"github.com/farmhand/terraform-provider-farmhand/internal/controller"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform/platforms"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// ModifyPlan makes defaults known, finds what can be found at fault before anything runs, and says what the change
// does to servers and data that are there.
func (r *roleResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if r.backend == nil {
		return
	}
	if req.Plan.Raw.IsNull() {
		var m roleModel
		resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
		if !resp.Diagnostics.HasError() {
			r.warnDestroy(ctx, m.spec(ctx, &resp.Diagnostics), &resp.Diagnostics)
		}
		return
	}
	var plan, config roleModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	role := plan.spec(ctx, &resp.Diagnostics)
	role.Secrets = config.secretNames()
	checkBackupKey(config, role, &resp.Diagnostics)
	plan.planDefaults(ctx, config, role, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
	if resp.Diagnostics.HasError() {
		return
	}

	key := state.RoleKey(role.Farm, role.Name)
	creating := req.State.Raw.IsNull()
	if !plan.Farm.IsUnknown() && !plan.Name.IsUnknown() {
		r.planName(ctx, req, key, "role", takenRole(role), &resp.Diagnostics)
	}
	if !creating {
		r.planResumedDestroy(ctx, key, resp)
	}
	s, err := r.openExisting(ctx)
	if err != nil && !noStoreYet(err) {
		resp.Diagnostics.AddError("The store cannot be read", sentence(err.Error()))
		return
	}
	farm := r.declaredFarm(ctx, s, role.Farm)
	r.plan(key, role)
	if req.Config.Raw.IsFullyKnown() {
		checkOn := farm
		if !creating {
			checkOn = nil // its image was checked when it was declared; an engine that is away harms no plan
			if former := storedRole(ctx, s, role.Farm, role.Name); former != nil && former.Image != role.Image {
				checkOn = farm
			}
		}
		addProblems(&resp.Diagnostics, r.validatePlanned(ctx, s, farm, checkOn, role))
	}
	if !creating && farm != nil && !resp.Diagnostics.HasError() {
		r.warnReplaced(ctx, s, *farm, role, &resp.Diagnostics)
	}
}

// validate is everything that can be checked of a role, before it is written.
func (r *roleResource) validate(ctx context.Context, s store.Store, farm *spec.Farm, role spec.Role) []spec.Problem {
	problems := r.validatePlanned(ctx, s, farm, farm, role)
	for _, id := range role.Uses {
		owner, name, _ := strings.Cut(id, "/")
		if _, err := s.Get(ctx, state.RoleKey(owner, name)); errors.Is(err, store.ErrNotFound) {
			problems = append(problems, spec.Problem{Attribute: "uses", Summary: fmt.Sprintf("there is no role %q", id),
				Advice: "Name it by farmhand_role.<name>.id, so that it is made first"})
		}
	}
	if role.Application != "" {
		if _, err := s.Get(ctx, state.ApplicationKey(role.Application)); errors.Is(err, store.ErrNotFound) {
			problems = append(problems, spec.Problem{Attribute: "application", Summary: fmt.Sprintf("there is no application %q", role.Application),
				Advice: "Name it by farmhand_application.<name>.id, so that it is made first"})
		}
	}
	return problems
}

// validatePlanned is the part that a plan can know: other roles and the application may not be made yet. farm is nil
// if it is not, and checkOn if its platform is not to be asked.
func (r *roleResource) validatePlanned(ctx context.Context, s store.Store, farm, checkOn *spec.Farm, role spec.Role) []spec.Problem {
	problems := role.Validate()
	b, ok := behaviors.Get(role.Behavior)
	if !ok {
		return append(problems, spec.Problem{Attribute: "behavior", Summary: fmt.Sprintf("there is no behavior %q", role.Behavior),
			Advice: "Choose one of " + strings.Join(behaviors.Names(), ", ")})
	}
	problems = append(problems, b.Validate(role)...)
	problems = append(problems, backupProblems(role, farm, b.Traits())...)
	problems = append(problems, r.proxyProblems(ctx, s, role, b.Traits())...)
	if role.Volume != nil && role.Volume.Path == "" {
		problems = append(problems, spec.Problem{Attribute: "volume.path", Summary: fmt.Sprintf("behavior %s has no place of its own for data", role.Behavior),
			Advice: "Say where the volume is to be mounted"})
	}
	if farm != nil {
		problems = append(problems, farm.ValidateRole(role)...)
		problems = append(problems, r.roomProblems(ctx, s, *farm, role)...)
	}
	if checkOn != nil && !hasErrors(problems) {
		problems = append(problems, r.platformProblems(ctx, s, *checkOn, role)...)
	}
	return problems
}

// proxyProblems asks whether the role that a proxy leads to is a database.
func (r *roleResource) proxyProblems(ctx context.Context, s store.Store, role spec.Role, traits behavior.Traits) []spec.Problem {
	if role.MySQLProxy == nil {
		return nil
	}
	others, err := r.declaredRoles(ctx, s, role.Farm)
	if err != nil {
		return []spec.Problem{{Summary: err.Error()}}
	}
	return mysqlProxyProblems(role, traits, others)
}

// roomProblems asks whether the farm's subnet holds this role beside the others.
func (r *roleResource) roomProblems(ctx context.Context, s store.Store, farm spec.Farm, role spec.Role) []spec.Problem {
	roles := []spec.Role{role}
	others, err := r.declaredRoles(ctx, s, farm.Name)
	if err != nil {
		return []spec.Problem{{Summary: err.Error()}}
	}
	for _, other := range others {
		if other.Name != role.Name {
			roles = append(roles, other)
		}
	}
	problems := farm.ValidateRoom(roles)
	for i := range problems {
		problems[i].Attribute = "max" // the subnet is the farm's; here it is this role's envelope that does not fit
	}
	return problems
}

// platformProblems asks the platform whether it could launch the role: the image exists and suits.
func (r *roleResource) platformProblems(ctx context.Context, s store.Store, farm spec.Farm, role spec.Role) []spec.Problem {
	if farm.AWS != nil {
		return r.awsProblems(ctx, farm, &role)
	}
	if farm.Simulated != nil && s == nil {
		return nil // it lives in the store, and there is none yet
	}
	p, err := platforms.Open(farm, platforms.Deps{Store: s})
	if err == nil {
		defer p.Close()
		err = p.Check(ctx, role)
	}
	if err == nil {
		return nil
	}
	problem := spec.Problem{Summary: err.Error()}
	if errors.Is(err, platform.ErrInvalid) {
		// The class of the error is for programs; the attribute says the same to people.
		problem = spec.Problem{Attribute: "image", Summary: strings.TrimSuffix(err.Error(), ": "+platform.ErrInvalid.Error())}
	}
	return []spec.Problem{problem}
}

// warnReplaced says how many running servers a new generation replaces.
func (r *roleResource) warnReplaced(ctx context.Context, s store.Store, farm spec.Farm, role spec.Role, diags *diag.Diagnostics) {
	former := storedRole(ctx, s, role.Farm, role.Name)
	b, ok := behaviors.Get(role.Behavior)
	if s == nil || former == nil || !ok || former.Behavior != role.Behavior {
		return // a new role, or one that the plan shows as replaced whole
	}
	app := storedApplication(ctx, s, role.Application)
	generation := controller.Generation(farm, role, app, b.Traits())
	if generation == controller.Generation(farm, *former, storedApplication(ctx, s, former.Application), b.Traits()) {
		return
	}
	if n := runningServers(ctx, s, role); n > 0 {
		diags.AddWarning("Running instances will be replaced", replacedSentence(role, n))
	}
}

// replacedSentence is what a plan says of a roll-out.
func replacedSentence(role spec.Role, n int) string {
	instances := fmt.Sprintf("%d running instances of %s, one at a time", n, role.ID())
	if n == 1 {
		instances = "1 running instance of " + role.ID()
	}
	if b, ok := behaviors.Get(role.Behavior); role.Volume != nil || ok && b.Traits().Stateful {
		return "This replaces " + instances + ". Data belongs to the index, so that each old one ends before its new one starts: it does not serve meanwhile."
	}
	return "This replaces " + instances + ": each new one serves before an old one goes."
}

// warnDestroy names the data that goes with the role.
func (r *roleResource) warnDestroy(ctx context.Context, role spec.Role, diags *diag.Diagnostics) {
	b, ok := behaviors.Get(role.Behavior)
	if role.Volume == nil && (!ok || !b.Traits().Stateful) {
		return
	}
	if role.Volume != nil && role.Volume.OnDestroy == spec.OnDestroyKeep {
		return
	}
	s, err := r.openExisting(ctx)
	if err != nil {
		return
	}
	names, snapshots := map[string]bool{}, 0
	instances, err := store.ListJSON[state.Instance](ctx, s, state.InstancePrefix(role.Farm))
	if err != nil {
		return
	}
	for _, i := range instances {
		if i.Value.Role == role.Name && i.Value.Volume != "" {
			names[i.Value.Volume] = true
		}
	}
	if farm := r.declaredFarm(ctx, s, role.Farm); farm != nil {
		if p, err := r.openPlatform(platforms.Deps{})(ctx, *farm, s); err == nil {
			volumes, _ := p.ListVolumes(ctx) // an engine that is away harms no plan
			for _, v := range volumes {
				if v.Role == role.Name {
					names[v.ID] = true
				}
			}
			snapshots = snapshotsOf(ctx, p, role.Name)
			_ = p.Close()
		}
	}
	if len(names) > 0 || snapshots > 0 {
		also := ""
		if snapshots > 0 {
			also = fmt.Sprintf(", and %d snapshots of them", snapshots)
		}
		diags.AddWarning(fmt.Sprintf("Data of %s will be deleted", role.ID()),
			fmt.Sprintf("Destroying the role deletes its volumes: %s%s. To keep them, set volume = { on_destroy = \"keep\" } and apply before.",
				strings.Join(sortedNames(names), ", "), also))
	}
}

// snapshotsOf counts the role's snapshots; 0 where the platform cannot say.
func snapshotsOf(ctx context.Context, p platform.Platform, role string) (n int) {
	s, ok := p.(platform.Snapshotter)
	if !ok {
		return 0
	}
	all, _ := s.ListSnapshots(ctx) // as above
	for _, one := range all {
		if one.Role == role {
			n++
		}
	}
	return n
}

// runningServers counts those that a roll-out would replace.
func runningServers(ctx context.Context, s store.Store, role spec.Role) (n int) {
	instances, err := store.ListJSON[state.Instance](ctx, s, state.InstancePrefix(role.Farm))
	if err != nil {
		return 0
	}
	for _, i := range instances {
		if i.Value.Role == role.Name && i.Value.Phase == state.Running {
			n++
		}
	}
	return n
}
