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

	"github.com/farmhand/terraform-provider-farmhand/internal/platform/platforms"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

var (
	_ resource.ResourceWithConfigure        = (*farmResource)(nil)
	_ resource.ResourceWithConfigValidators = (*farmResource)(nil)
	_ resource.ResourceWithModifyPlan       = (*farmResource)(nil)
	_ resource.ResourceWithImportState      = (*farmResource)(nil)
)

const (
	farmCreateTimeout = 2 * time.Minute
	farmDeleteTimeout = 10 * time.Minute
)

type farmResource struct{ resourceBackend }

func newFarmResource() resource.Resource { return &farmResource{} }

func (r *farmResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = "farmhand_farm"
}

// defaultFarm is what a farm is where nothing is said.
func defaultFarm() spec.Farm {
	f := spec.Farm{Docker: &spec.Docker{}, Simulated: &spec.Simulated{}}
	f.SetDefaults()
	return f
}

// spec is the declaration, with defaults for what is null or unknown; region is the provider's, for a farm on EC2.
func (m *farmModel) spec(ctx context.Context, region string, diags *diag.Diagnostics) spec.Farm {
	f := spec.Farm{Name: m.Name.normal(), Sidecar: m.Sidecar.ValueString(), Zone: m.Zone.normal(), Tick: m.Tick.duration()}
	if d := decode[dockerModel](ctx, m.Docker, diags); d != nil {
		f.Docker = &spec.Docker{Subnet: d.Subnet.normal(), Image: d.Image.ValueString(), Host: d.Host.ValueString()}
	}
	if s := decode[simulatedModel](ctx, m.Simulated, diags); s != nil {
		f.Simulated = &spec.Simulated{
			BootTime: s.BootTime.duration(), Subnet: s.Subnet.normal(),
			FailLaunches: s.FailLaunches.ValueFloat64(), Seed: s.Seed.ValueInt64(),
		}
	}
	if a := decode[awsModel](ctx, m.AWS, diags); a != nil {
		f.AWS = a.spec(ctx, region, diags)
	}
	f.SetDefaults()
	keepZero(&f.Tick, m.Tick)
	if s := decode[simulatedModel](ctx, m.Simulated, diags); s != nil {
		keepZero(&f.Simulated.BootTime, s.BootTime)
	}
	return f
}

// fill takes over what f says. Values that mean what the model says already keep its text, and zeros that it leaves out stay out.
func (m *farmModel) fill(ctx context.Context, f spec.Farm, diags *diag.Diagnostics) {
	m.ID = types.StringValue(f.Name)
	m.Name = nameText(f.Name)
	m.Sidecar = types.StringValue(f.Sidecar)
	m.Zone = nameText(f.Zone)
	m.Tick = durationText(f.Tick)

	var d *dockerModel
	if f.Docker != nil {
		d = &dockerModel{
			Subnet: subnetText(f.Docker.Subnet), Image: types.StringValue(f.Docker.Image), Host: optionalString(f.Docker.Host),
		}
	}
	m.Docker = encode(ctx, m.Docker, d, diags)

	var s *simulatedModel
	if f.Simulated != nil {
		s = &simulatedModel{
			BootTime: durationText(f.Simulated.BootTime), Subnet: subnetText(f.Simulated.Subnet),
			FailLaunches: types.Float64Null(), Seed: types.Int64Null(),
		}
		former := decode[simulatedModel](ctx, m.Simulated, diags)
		if f.Simulated.FailLaunches != 0 || former != nil && !former.FailLaunches.IsNull() {
			s.FailLaunches = types.Float64Value(f.Simulated.FailLaunches)
		}
		if f.Simulated.Seed != 0 || former != nil && !former.Seed.IsNull() {
			s.Seed = types.Int64Value(f.Simulated.Seed)
		}
	}
	m.Simulated = encode(ctx, m.Simulated, s, diags)

	var a *awsModel
	if f.AWS != nil {
		if a = decode[awsModel](ctx, m.AWS, diags); a == nil {
			a = emptyAWSModel()
		}
		a.fill(ctx, f.AWS, diags)
	}
	m.AWS = encode(ctx, m.AWS, a, diags)
}

// fillAWS makes known after apply what the plan could not know: a region that came from a resource.
func (m *farmModel) fillAWS(ctx context.Context, f spec.Farm, diags *diag.Diagnostics) {
	a := decode[awsModel](ctx, m.AWS, diags)
	if a == nil || f.AWS == nil {
		return
	}
	a.Region, a.AgentVersion = types.StringValue(f.AWS.Region), types.StringValue(f.AWS.AgentVersion)
	m.AWS = encode(ctx, m.AWS, a, diags)
}

// planDefaults makes defaults known where the configuration leaves them out.
func (m *farmModel) planDefaults(ctx context.Context, config farmModel, f spec.Farm, diags *diag.Diagnostics) {
	if !m.Name.IsUnknown() {
		m.ID = types.StringValue(m.Name.normal())
	}
	if config.Tick.IsNull() {
		m.Tick = durationText(f.Tick)
	}
	if d, c := decode[dockerModel](ctx, m.Docker, diags), decode[dockerModel](ctx, config.Docker, diags); d != nil && c != nil {
		if c.Image.IsNull() {
			d.Image = types.StringValue(f.Docker.Image)
		}
		m.Docker = encode(ctx, m.Docker, d, diags)
	}
	if s, c := decode[simulatedModel](ctx, m.Simulated, diags), decode[simulatedModel](ctx, config.Simulated, diags); s != nil && c != nil {
		if c.BootTime.IsNull() {
			s.BootTime = durationText(f.Simulated.BootTime)
		}
		if c.Subnet.IsNull() {
			s.Subnet = subnetText(f.Simulated.Subnet)
		}
		m.Simulated = encode(ctx, m.Simulated, s, diags)
	}
	if a, c := decode[awsModel](ctx, m.AWS, diags), decode[awsModel](ctx, config.AWS, diags); a != nil && c != nil {
		if c.Region.IsNull() && f.AWS.Region != "" {
			a.Region = types.StringValue(f.AWS.Region)
		}
		a.AgentVersion = types.StringValue(f.AWS.AgentVersion)
		m.AWS = encode(ctx, m.AWS, a, diags)
	}
}

// ModifyPlan makes defaults known and finds what can be found at fault before anything is made.
func (r *farmResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if r.backend == nil || req.Plan.Raw.IsNull() {
		return
	}
	var plan, config farmModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	f := r.declared(ctx, &plan, &resp.Diagnostics)
	plan.planDefaults(ctx, config, f, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
	if resp.Diagnostics.HasError() {
		return
	}

	creating := req.State.Raw.IsNull()
	if !plan.Name.IsUnknown() {
		r.planName(ctx, req, state.FarmKey(f.Name), "farm", takenFarm(f.Name), &resp.Diagnostics)
	}
	if !creating {
		r.planResumedDestroy(ctx, state.FarmKey(f.Name), resp)
		r.warnReplaced(ctx, f, &resp.Diagnostics)
	}
	if !req.Config.Raw.IsFullyKnown() {
		return
	}
	r.plan(state.FarmKey(f.Name), f)
	addProblems(&resp.Diagnostics, append(f.Validate(), r.storeProblems(f)...))
	if creating && !resp.Diagnostics.HasError() {
		// A farm that exists was checked when it was made; its platform may be away now without harm to the plan.
		s, err := r.openExisting(ctx)
		if err != nil && !noStoreYet(err) {
			resp.Diagnostics.AddError("The store cannot be read", sentence(err.Error()))
			return
		}
		addProblems(&resp.Diagnostics, r.preflight(ctx, f, s))
	}
}

// preflight is what the platform says before anything is made.
func (r *farmResource) preflight(ctx context.Context, f spec.Farm, s store.Store) []spec.Problem {
	if f.AWS != nil {
		return r.awsProblems(ctx, f, nil)
	}
	return platforms.Preflight(ctx, f, s)
}

// warnReplaced says how many running servers a new image replaces, by role: those of roles that name none.
func (r *farmResource) warnReplaced(ctx context.Context, f spec.Farm, diags *diag.Diagnostics) {
	s, err := r.openExisting(ctx)
	if err != nil {
		return // the refresh has told
	}
	former, _, err := store.GetJSON[state.Declared[spec.Farm]](ctx, s, state.FarmKey(f.Name))
	if err != nil || f.Docker == nil || former.Spec.Docker == nil || f.Docker.Image == former.Spec.Docker.Image || f.Docker.Subnet != former.Spec.Docker.Subnet {
		return
	}
	roles, err := store.ListJSON[state.Declared[spec.Role]](ctx, s, state.RolePrefix(f.Name))
	if err != nil {
		return
	}
	var sentences []string
	for _, role := range roles {
		if n := runningServers(ctx, s, role.Value.Spec); role.Value.Spec.Image == "" && n > 0 {
			sentences = append(sentences, replacedSentence(role.Value.Spec, n))
		}
	}
	if len(sentences) > 0 {
		diags.AddWarning("Running instances will be replaced", strings.Join(sentences, "\n"))
	}
}

func takenFarm(name string) string {
	return fmt.Sprintf("name: a farm %q exists in this store and is not in this configuration's state. Choose another name, "+
		"or take it over with `terraform import farmhand_farm.<name> %s`.", name, name)
}

func (r *farmResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m farmModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	f := r.declared(ctx, &m, &resp.Diagnostics)
	timeout, d := m.Timeouts.Create(ctx, farmCreateTimeout)
	resp.Diagnostics.Append(d...)
	addProblems(&resp.Diagnostics, append(f.Validate(), r.storeProblems(f)...))
	if resp.Diagnostics.HasError() || !r.requireSidecar(ctx, path.Root("sidecar"), f.Sidecar, &resp.Diagnostics) {
		return
	}
	s, err := r.open(ctx)
	if err != nil {
		resp.Diagnostics.AddError("The store cannot be opened", sentence(err.Error()))
		return
	}
	addProblems(&resp.Diagnostics, r.preflight(ctx, f, s))
	if resp.Diagnostics.HasError() {
		return
	}

	// The index entry takes the name: of two that declare it at once, one gets here.
	entry := state.FarmEntry{Name: f.Name, Sidecar: f.Sidecar, Created: time.Now().UTC()}
	_, err = store.PutJSON(ctx, s, state.FarmIndexKey(f.Name), entry, store.If(store.Absent()))
	if errors.Is(err, store.ErrConflict) {
		addTaken(&resp.Diagnostics, "farm", takenFarm(f.Name))
		return
	}
	if err == nil {
		err = r.deployFarm(ctx, &f)
	}
	if err == nil {
		_, err = store.PutJSON(ctx, s, state.FarmKey(f.Name), state.Declared[spec.Farm]{Spec: f})
	}
	if err != nil {
		resp.Diagnostics.AddError("The farm cannot be declared", sentence(err.Error()))
		undoCreate(ctx, resp, func(cleanup context.Context) error {
			if err := r.undeployFarm(cleanup, s, f); err != nil {
				return err
			}
			return r.destroyFarm(cleanup, s, f.Name)
		})
		return
	}
	m.fillAWS(ctx, f, &resp.Diagnostics)
	m.ID = types.StringValue(f.Name)
	m.Nameserver = types.StringValue("")
	markOwned(ctx, resp.Private, state.FarmKey(f.Name), &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)

	nameserver, err := r.waitOpen(ctx, s, f, timeout)
	if err == nil {
		m.Nameserver = types.StringValue(nameserver)
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
		return
	}
	resp.Diagnostics.AddError(fmt.Sprintf("Farm %s cannot be opened", f.Name), sentence(err.Error()))
	undoCreate(ctx, resp, func(cleanup context.Context) error { return r.destroyFarm(cleanup, s, f.Name) })
}

func (r *farmResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m farmModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	what := "farm " + m.ID.ValueString()
	key := state.FarmKey(m.ID.ValueString())
	s, declared, ok := readDeclared[state.Declared[spec.Farm]](ctx, r.backend, what, key, resp)
	if !ok {
		return
	}
	r.saw(key)
	if a := declared.Spec.AWS; a != nil {
		said := map[string]string{}
		if former := decode[awsModel](ctx, m.AWS, &resp.Diagnostics); former != nil {
			said = stringMap(ctx, former.Tags, &resp.Diagnostics)
		}
		a.Tags = r.withoutDefaultTags(a.Tags, said)
	}
	m.fill(ctx, declared.Spec, &resp.Diagnostics)
	runtime, _, err := store.GetJSON[state.Runtime](ctx, s, state.RuntimeKey(declared.Spec.Name))
	switch {
	case err == nil:
		m.Nameserver = types.StringValue(runtime.Nameserver)
	case !errors.Is(err, store.ErrNotFound):
		addReadError(&resp.Diagnostics, what, err)
		return
	case m.Nameserver.IsNull():
		m.Nameserver = types.StringValue("")
	}
	if declared.Deleting {
		warnDeleting(what, &resp.Diagnostics)
	}
	markOwned(ctx, resp.Private, key, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (r *farmResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var m farmModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	f := r.declared(ctx, &m, &resp.Diagnostics)
	addProblems(&resp.Diagnostics, f.Validate())
	if resp.Diagnostics.HasError() {
		return
	}
	s, err := r.open(ctx)
	if err == nil {
		err = r.deployFarm(ctx, &f)
	}
	if err == nil {
		_, err = store.PutJSON(ctx, s, state.FarmKey(f.Name), state.Declared[spec.Farm]{Spec: f})
	}
	if err != nil {
		resp.Diagnostics.AddError("The farm cannot be declared", sentence(err.Error()))
		return
	}
	m.fillAWS(ctx, f, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (r *farmResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m farmModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	timeout, d := m.Timeouts.Delete(ctx, farmDeleteTimeout)
	resp.Diagnostics.Append(d...)
	if resp.Diagnostics.HasError() {
		return
	}
	r.destroyIn(ctx, timeout, "Farm "+m.ID.ValueString(), &resp.Diagnostics, func(ctx context.Context, s store.Store) error {
		return r.destroyFarm(ctx, s, m.ID.ValueString())
	})
}

func (r *farmResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	resource.ImportStatePassthroughID(ctx, path.Root("id"), req, resp)
}
