package provider

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

var (
	_ resource.ResourceWithConfigure   = (*sidecarResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*sidecarResource)(nil)
	_ resource.ResourceWithImportState = (*sidecarResource)(nil)
)

// localSidecar is the id of the daemon on this machine; there is one in a state directory.
const localSidecar = "local"

const (
	sidecarRunning = "running"
	sidecarStopped = "stopped"
)

type sidecarResource struct{ resourceBackend }

type sidecarModel struct {
	ID      types.String `tfsdk:"id"`
	Local   types.Object `tfsdk:"local"`
	Version types.String `tfsdk:"version"`
	Status  types.String `tfsdk:"status"`
}

func newSidecarResource() resource.Resource { return &sidecarResource{} }

func (r *sidecarResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = "farmhand_sidecar"
}

func (r *sidecarResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "The daemon that keeps farms as they are declared: it launches, scales, heals and rolls out. " +
			"It goes on after Terraform has ended. One that was killed, or that an older provider started, shows in the next " +
			"plan and is started anew by the next apply; the instances live on meanwhile and are adopted.",
		Attributes: map[string]schema.Attribute{
			"id": computedID("What farms name as their `sidecar`."),
			"local": schema.SingleNestedAttribute{
				Required: true,
				MarkdownDescription: "Run it on the machine that runs Terraform, from a copy of this provider in the state directory. " +
					"Meant for machines that stay: on a runner that is thrown away after the apply, so is the sidecar.",
				Attributes: map[string]schema.Attribute{},
			},
			"version": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Version that runs; planned to be the provider's own.",
			},
			"status": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "`running`, or `stopped` where a refresh found it dead; planned to be `running`.",
			},
		},
	}
}

// ModifyPlan plans what an apply always reaches: a sidecar of this version that runs. So a dead or outdated one is an
// update in place that a person approves; nothing is started by a plan.
func (r *sidecarResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() || r.backend == nil {
		return
	}
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("id"), localSidecar)...)
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("version"), r.version)...)
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("status"), sidecarRunning)...)
	if runner := ephemeralRunner(); runner != "" && req.State.Raw.IsNull() {
		resp.Diagnostics.AddAttributeWarning(path.Root("local"), "The sidecar runs on a machine that may be thrown away",
			fmt.Sprintf("local: %s is set, so this looks like a runner of a pipeline. A local sidecar ends with its machine, and "+
				"nothing heals or scales the farm from then on. Apply from a machine that stays.", runner))
	}
}

// ephemeralRunner names the environment variable by which runners of pipelines are known; "" on other machines.
func ephemeralRunner() string {
	for _, name := range []string{"TFC_RUN_ID", "CI"} {
		if v := os.Getenv(name); v != "" && v != "false" {
			return name
		}
	}
	return ""
}

func (r *sidecarResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m sidecarModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	s, err := r.open(ctx)
	if err != nil {
		resp.Diagnostics.AddError("The store cannot be opened", sentence(err.Error()))
		return
	}
	if _, err := store.PutJSON(ctx, s, state.SidecarKey(localSidecar), spec.Sidecar{ID: localSidecar, Local: true}); err != nil {
		resp.Diagnostics.AddError("The sidecar cannot be declared", sentence(err.Error()))
		return
	}
	if !r.start(ctx, &m, &resp.Diagnostics) {
		_ = s.Delete(ctx, state.SidecarKey(localSidecar))
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// start starts the sidecar, or replaces one of another version, and fills in what it is then.
func (r *sidecarResource) start(ctx context.Context, m *sidecarModel, diags *diag.Diagnostics) bool {
	dir, err := r.stateDir()
	if err != nil {
		diags.AddError("The sidecar has no folder", sentence(err.Error()))
		return false
	}
	executable, err := os.Executable()
	if err != nil {
		diags.AddError("The provider cannot find its own executable", sentence(err.Error()))
		return false
	}
	options := daemon.Options{StateDir: dir, Executable: executable, Version: r.version}
	if r.remote() {
		address, err := r.address(ctx)
		if err != nil {
			diags.AddError("The sidecar has no store", sentence(err.Error()))
			return false
		}
		options.Store, options.AWS = address.String(), r.cloud.config.String()
	}
	st, err := daemon.Start(ctx, options)
	if err != nil {
		diags.AddAttributeError(path.Root("local"), "The sidecar does not start",
			fmt.Sprintf("local: %s\n\nIts log is %s.", sentence(err.Error()), daemon.LogPath(dir)))
		return false
	}
	tflog.Info(ctx, "sidecar runs", map[string]any{"id": st.ID, "pid": st.PID, "version": st.Version})
	m.ID = types.StringValue(localSidecar)
	m.Version = types.StringValue(st.Version)
	m.Status = types.StringValue(sidecarRunning)
	return true
}

// Read only looks. A dead sidecar stays in the state, so that the plan shows an update and not a second creation.
func (r *sidecarResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m sidecarModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if _, _, ok := readDeclared[spec.Sidecar](ctx, r.backend, "sidecar "+localSidecar, state.SidecarKey(localSidecar), resp); !ok {
		return
	}
	dir, err := r.stateDir()
	if err != nil {
		addReadError(&resp.Diagnostics, "sidecar "+localSidecar, err)
		return
	}
	st, err := daemon.Find(ctx, dir)
	switch {
	case errors.Is(err, daemon.ErrNotRunning):
		m.Status = types.StringValue(sidecarStopped)
		resp.Diagnostics.AddWarning("The sidecar does not run",
			fmt.Sprintf("Nothing heals or scales its farms until it is back; instances go on as they are. "+
				"The next apply starts it. Why it ended may stand in %s.", daemon.LogPath(dir)))
	case err != nil:
		addReadError(&resp.Diagnostics, "sidecar "+localSidecar, err)
		return
	default:
		m.Status = types.StringValue(sidecarRunning)
		m.Version = types.StringValue(st.Version)
	}
	m.ID = types.StringValue(localSidecar)
	m.Local = types.ObjectValueMust(m.Local.AttributeTypes(ctx), nil)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (r *sidecarResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var m sidecarModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || !r.start(ctx, &m, &resp.Diagnostics) {
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// Delete leaves nothing of the sidecar behind, unless farms of other configurations remain: then the sidecar goes on for
// them, and this configuration is told so. The same HCL applied twice under two farm names has one sidecar between them.
func (r *sidecarResource) Delete(ctx context.Context, _ resource.DeleteRequest, resp *resource.DeleteResponse) {
	err := r.remove(ctx)
	var keeps keepsFarms
	switch {
	case errors.As(err, &keeps):
		resp.Diagnostics.AddWarning("The sidecar stays", sentence(err.Error()))
	case err != nil:
		resp.Diagnostics.AddError("The sidecar cannot be removed", sentence(err.Error()))
	}
}

func (r *sidecarResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	if req.ID != localSidecar {
		resp.Diagnostics.AddError("Unknown sidecar", fmt.Sprintf("There is no sidecar %q to import; the one of this machine is %q.", req.ID, localSidecar))
		return
	}
	resource.ImportStatePassthroughID(ctx, path.Root("id"), req, resp)
}
