package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

var (
	_ resource.ResourceWithConfigure   = (*applicationResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*applicationResource)(nil)
	_ resource.ResourceWithImportState = (*applicationResource)(nil)
)

type applicationResource struct{ resourceBackend }

type applicationModel struct {
	ID               types.String   `tfsdk:"id"`
	Name             text           `tfsdk:"name"`
	Source           types.String   `tfsdk:"source"`
	DocumentRoot     types.String   `tfsdk:"document_root"`
	Release          types.String   `tfsdk:"release"`
	WaitUntilServing types.Bool     `tfsdk:"wait_until_serving"`
	Timeouts         timeouts.Value `tfsdk:"timeouts"`
}

func newApplicationResource() resource.Resource { return &applicationResource{} }

func (r *applicationResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = "farmhand_application"
}

func (r *applicationResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Code to deploy: a folder, packed into a release. A changed file is a new release and shows in the plan; the roles that " +
			"run the application replace their servers, one at a time. If the new ones do not come up, the former release is put back.",
		Attributes: map[string]schema.Attribute{
			"id":   computedID("The application's name."),
			"name": requiredName("Name, unique in the store; a DNS label."),
			"source": schema.StringAttribute{
				Required: true,
				MarkdownDescription: "The folder. Its files, folders and links inside of it are packed, each file executable or not as it is; " +
					"times and owners are left out, so that the same files are the same release wherever they are packed.",
			},
			"document_root": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Folder inside of `source` that a web server serves. Default: its top.",
			},
			"release": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Name of the release: the SHA-256 of the packed folder.",
			},
			"wait_until_serving": schema.BoolAttribute{
				Optional:            true,
				MarkdownDescription: "Whether an update waits until the roles that run the application serve the new release. Default: `true`.",
			},
			"timeouts": timeouts.Attributes(ctx, timeouts.Opts{
				Update:            true,
				UpdateDescription: "How long replacing the servers may take. Default: `" + spec.Duration(roleUpdateTimeout).String() + "`.",
			}),
		},
	}
}

// ModifyPlan reads the folder, so that a changed file shows, and says which servers that replaces.
func (r *applicationResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if r.backend == nil || req.Plan.Raw.IsNull() {
		return
	}
	var plan applicationModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if !plan.Name.IsUnknown() {
		plan.ID = types.StringValue(plan.Name.normal())
	}
	plan.Release = types.StringUnknown()
	if !plan.Source.IsUnknown() {
		release, _, err := hashRelease(plan.Source.ValueString())
		if err != nil {
			addFolderError(&resp.Diagnostics, err)
			return
		}
		plan.Release = types.StringValue(release)
	}
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)

	app := plan.spec()
	creating := req.State.Raw.IsNull()
	if !plan.Name.IsUnknown() {
		r.planName(ctx, req, state.ApplicationKey(app.Name), "application", takenApplication(app.Name), &resp.Diagnostics)
	}
	if req.Config.Raw.IsFullyKnown() {
		addProblems(&resp.Diagnostics, app.Validate())
	}
	if !creating && !resp.Diagnostics.HasError() && !plan.Release.IsUnknown() {
		r.warnReplaced(ctx, app, &resp.Diagnostics)
	}
}

func (m *applicationModel) spec() spec.Application {
	return spec.Application{Name: m.Name.normal(), Release: m.Release.ValueString(), DocumentRoot: m.DocumentRoot.ValueString()}
}

func takenApplication(name string) string {
	return fmt.Sprintf("name: an application %q exists in this store and is not in this configuration's state. Choose another name, or take it over "+
		"with `terraform import farmhand_application.<name> %s`.", name, name)
}

func addFolderError(diags *diag.Diagnostics, err error) {
	detail := strings.TrimPrefix(err.Error(), errFolder.Error()+": ")
	diags.AddAttributeError(path.Root("source"), "The application's folder cannot be packed",
		fmt.Sprintf("source: %s A relative path is taken from where Terraform runs; \"${path.module}/...\" is one beside the configuration.", sentence(detail)))
}

func (r *applicationResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m applicationModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	s, app, ok := r.pack(ctx, &m, &resp.Diagnostics)
	if !ok {
		return
	}
	_, err := store.PutJSON(ctx, s, state.ApplicationKey(app.Name), app, store.If(store.Absent()))
	switch {
	case errors.Is(err, store.ErrConflict):
		addTaken(&resp.Diagnostics, "application", takenApplication(app.Name))
	case err != nil:
		resp.Diagnostics.AddError("The application cannot be declared", sentence(err.Error()))
	default:
		m.ID = types.StringValue(app.Name)
		markOwned(ctx, resp.Private, state.ApplicationKey(app.Name), &resp.Diagnostics)
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
		return
	}
	r.dropRelease(ctx, s, app.Release)
}

// pack stores the folder as a release. It must be the one that was planned.
func (r *applicationResource) pack(ctx context.Context, m *applicationModel, diags *diag.Diagnostics) (store.Store, spec.Application, bool) {
	s, err := r.open(ctx)
	if err != nil {
		diags.AddError("The store cannot be opened", sentence(err.Error()))
		return nil, spec.Application{}, false
	}
	blobs, err := r.openBlobs(ctx)
	if err != nil {
		diags.AddError("The folder of releases cannot be opened", sentence(err.Error()))
		return nil, spec.Application{}, false
	}
	release, size, err := storeRelease(ctx, blobs, m.Source.ValueString())
	switch {
	case errors.Is(err, errFolder):
		addFolderError(diags, err)
		return nil, spec.Application{}, false
	case err != nil:
		diags.AddError("The release cannot be stored", sentence(err.Error()))
		return nil, spec.Application{}, false
	}
	if !m.Release.IsUnknown() && release != m.Release.ValueString() {
		r.dropRelease(ctx, s, release)
		diags.AddAttributeError(path.Root("source"), "The folder has changed since the plan",
			"source: the files in "+m.Source.ValueString()+" are not those that were planned. Plan again.")
		return nil, spec.Application{}, false
	}
	m.Release = types.StringValue(release)
	app := m.spec()
	app.Bytes = size
	return s, app, true
}

// dropRelease removes a release that no application names.
func (r *applicationResource) dropRelease(ctx context.Context, s store.Store, release string) {
	apps, err := store.ListJSON[spec.Application](ctx, s, state.ApplicationKey(""))
	if err != nil {
		return
	}
	for _, a := range apps {
		if a.Value.Release == release {
			return
		}
	}
	if blobs, err := r.openBlobs(ctx); err == nil {
		_ = blobs.DeleteBlob(ctx, release) // left behind it costs some disk, and the sidecar's removal takes it along
	}
}

func (r *applicationResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m applicationModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	what := "application " + m.ID.ValueString()
	key := state.ApplicationKey(m.ID.ValueString())
	_, app, ok := readDeclared[spec.Application](ctx, r.backend, what, key, resp)
	if !ok {
		return
	}
	r.saw(key)
	m.ID = types.StringValue(app.Name)
	m.Name = nameText(app.Name)
	m.Release = types.StringValue(app.Release)
	m.DocumentRoot = keepEmpty(m.DocumentRoot, app.DocumentRoot)
	markOwned(ctx, resp.Private, key, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// Update takes the new release over and waits for the roles that run it. If a role's new servers do not come up, the
// former release is put back.
func (r *applicationResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var m, formerModel applicationModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &formerModel)...)
	timeout, d := m.Timeouts.Update(ctx, roleUpdateTimeout)
	resp.Diagnostics.Append(d...)
	if resp.Diagnostics.HasError() {
		return
	}
	s, app, ok := r.pack(ctx, &m, &resp.Diagnostics)
	if !ok {
		return
	}
	key := state.ApplicationKey(app.Name)
	former, revision, err := store.GetJSON[spec.Application](ctx, s, key)
	if err == nil {
		revision, err = store.PutJSON(ctx, s, key, app, store.If(store.At(revision)))
	}
	if err != nil {
		r.dropRelease(ctx, s, app.Release)
		resp.Diagnostics.AddError("The application cannot be declared", sentence(err.Error()))
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
	changed := former.Release != app.Release || former.DocumentRoot != app.DocumentRoot
	if !changed || !m.WaitUntilServing.IsNull() && !m.WaitUntilServing.ValueBool() {
		return
	}
	if err := r.waitRoles(ctx, s, app, timeout); err != nil {
		resp.Diagnostics.AddError(fmt.Sprintf("Release %.12s of %s does not serve", app.Release, app.Name), capital(err.Error()))
		var failed *launchFailedError
		if !errors.As(err, &failed) {
			return
		}
		undo := context.WithoutCancel(ctx)
		if _, err := store.PutJSON(undo, s, key, former, store.If(store.At(revision))); err != nil {
			resp.Diagnostics.AddError("The former release cannot be put back", sentence(err.Error()))
			return
		}
		resp.Diagnostics.AddWarning("The former release was put back",
			"Servers that were replaced already are replaced again. The change is in the next plan.")
		resp.Diagnostics.Append(resp.State.Set(ctx, formerModel)...)
		return
	}
	if former.Release != app.Release {
		r.dropRelease(ctx, s, former.Release)
	}
}

// Delete refuses while a role runs the application: a server launched next would not find it.
func (r *applicationResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m applicationModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	name := m.Name.normal()
	s, err := r.openExisting(ctx)
	if errors.Is(err, errNoStore) {
		return
	}
	var users []spec.Role
	if err == nil {
		users, err = rolesStillRunning(ctx, s, name)
	}
	if err != nil {
		resp.Diagnostics.AddError(fmt.Sprintf("Application %s cannot be removed", name), sentence(err.Error()))
		return
	}
	if len(users) > 0 {
		ids := map[string]bool{}
		for _, role := range users {
			ids[role.ID()] = true
		}
		resp.Diagnostics.AddError(fmt.Sprintf("Application %s is in use", name), fmt.Sprintf("It is run by %s. "+
			"Refer to it as farmhand_application.<name>.id there, so that Terraform removes it last, or give them another.", strings.Join(sortedNames(ids), ", ")))
		return
	}
	if err := s.Delete(ctx, state.ApplicationKey(name)); err != nil {
		resp.Diagnostics.AddError(fmt.Sprintf("Application %s cannot be removed", name), sentence(err.Error()))
		return
	}
	r.dropRelease(ctx, s, m.Release.ValueString())
	if err := r.removeEmptyStore(ctx); err != nil {
		resp.Diagnostics.AddError("The store cannot be removed", sentence(err.Error()))
	}
}

func (r *applicationResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	resource.ImportStatePassthroughID(ctx, path.Root("id"), req, resp)
}
