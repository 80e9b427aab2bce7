package provider

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
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
	_ resource.ResourceWithConfigure        = (*sidecarResource)(nil)
	_ resource.ResourceWithConfigValidators = (*sidecarResource)(nil)
	_ resource.ResourceWithModifyPlan       = (*sidecarResource)(nil)
	_ resource.ResourceWithImportState      = (*sidecarResource)(nil)
)

// localSidecar is the id of the daemon on this machine; there is one in a state directory.
const localSidecar = spec.LocalSidecar

const (
	sidecarRunning = "running"
	sidecarStopped = "stopped"
)

type sidecarResource struct{ resourceBackend }

type sidecarModel struct {
	ID            types.String   `tfsdk:"id"`
	Local         types.Object   `tfsdk:"local"`
	AWS           types.Object   `tfsdk:"aws"`
	MetricsListen types.String   `tfsdk:"metrics_listen"`
	Version       types.String   `tfsdk:"version"`
	Status        types.String   `tfsdk:"status"`
	Timeouts      timeouts.Value `tfsdk:"timeouts"`
}

// onEC2 tells where it is declared to run.
func (m *sidecarModel) onEC2() bool { return !m.AWS.IsNull() }

func newSidecarResource() resource.Resource { return &sidecarResource{} }

func (r *sidecarResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = "farmhand_sidecar"
}

func (r *sidecarResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "The daemon that keeps farms as they are declared: it launches, scales, heals and rolls out. " +
			"It goes on after Terraform has ended. One that was killed, or that an older provider started, shows in the next " +
			"plan and is started anew by the next apply; the instances live on meanwhile and are adopted.",
		Attributes: map[string]schema.Attribute{
			"id": computedID("What farms name as their `sidecar`."),
			"local": schema.SingleNestedAttribute{
				Optional: true,
				MarkdownDescription: "Run it on the machine that runs Terraform, from a copy of this provider in the state directory. " +
					"Meant for machines that stay: on a runner that is thrown away after the apply, so is the sidecar. One of `local` and `aws` is set.",
				Attributes: map[string]schema.Attribute{},
			},
			"aws": sidecarAWSSchema(),
			"metrics_listen": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "Address (`host:port`) at which metrics are served to Prometheus, at `/metrics`, and whether farms are being kept, at `/healthz`: " +
					"`127.0.0.1:9641` for what runs on the sidecar's machine. Who reaches it needs no password. A change starts the sidecar anew. Default: none are served; see the guide on monitoring.",
			},
			"version": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Version that runs; planned to be the provider's own.",
			},
			"status": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "`running`, or `stopped` where a refresh found it dead; planned to be `running`.",
			},
			"timeouts": timeouts.Attributes(ctx, timeouts.Opts{
				Create: true, Update: true, Delete: true,
				CreateDescription: "How long EC2 may take until the sidecar runs. Default: `" + spec.Duration(deployPatience).String() + "`.",
				UpdateDescription: "How long an upgrade on EC2 may take. Default: `" + spec.Duration(deployPatience).String() + "`.",
				DeleteDescription: "How long the end of its instances on EC2 may take. Default: `" + spec.Duration(deployPatience).String() + "`.",
			}),
		},
	}
}

func (r *sidecarResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m sidecarModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	patience, d := m.Timeouts.Create(ctx, deployPatience)
	resp.Diagnostics.Append(d...)
	if resp.Diagnostics.HasError() {
		return
	}
	s, err := r.open(ctx)
	if err != nil {
		resp.Diagnostics.AddError("The store cannot be opened", sentence(err.Error()))
		return
	}
	if m.onEC2() {
		if !r.deploy(ctx, &m, false, patience, &resp.Diagnostics) {
			undoCreate(ctx, resp, func(cleanup context.Context) error {
				if err := r.undeploySidecar(cleanup, m.ID.ValueString(), patience); err != nil {
					return err
				}
				return r.removeEmptyStore(cleanup)
			})
			return
		}
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
		return
	}
	if !declareLocal(ctx, s, &m, &resp.Diagnostics) {
		return
	}
	if !r.start(ctx, &m, &resp.Diagnostics) {
		_ = s.Delete(ctx, state.SidecarKey(localSidecar))
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// localSpec is the declaration of the sidecar on this machine.
func localSpec(m *sidecarModel) spec.Sidecar {
	return spec.Sidecar{ID: localSidecar, Local: true, MetricsListen: m.MetricsListen.ValueString()}
}

func declareLocal(ctx context.Context, s store.Store, m *sidecarModel, diags *diag.Diagnostics) bool {
	if _, err := store.PutJSON(ctx, s, state.SidecarKey(localSidecar), localSpec(m)); err != nil {
		diags.AddError("The sidecar cannot be declared", sentence(err.Error()))
		return false
	}
	return true
}

// deploy makes a sidecar on EC2 as planned, and fills in what it is then.
func (r *sidecarResource) deploy(ctx context.Context, m *sidecarModel, renew bool, patience time.Duration, diags *diag.Diagnostics) bool {
	a := decode[sidecarAWSModel](ctx, m.AWS, diags)
	if a == nil {
		return false
	}
	s := r.sidecarOnEC2(ctx, m, a, diags)
	addProblems(diags, r.sidecarProblems(ctx, s, false))
	if diags.HasError() {
		return false
	}
	m.ID = types.StringValue(s.ID) // for whoever undoes it
	if err := r.deploySidecar(ctx, &s, renew, patience); err != nil {
		diags.AddAttributeError(path.Root("aws"), "The sidecar does not start", "aws: "+sentence(err.Error()))
		return false
	}
	tflog.Info(ctx, "sidecar runs", map[string]any{"id": s.ID, "version": s.AWS.Version, "instances": s.AWS.Size})
	m.Version, m.Status = types.StringValue(s.AWS.Version), types.StringValue(sidecarRunning)
	return true
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
	options := daemon.Options{StateDir: dir, Executable: executable, Version: r.version, Metrics: m.MetricsListen.ValueString()}
	if r.remote() {
		address, err := r.address(ctx)
		if err != nil {
			diags.AddError("The sidecar has no store", sentence(err.Error()))
			return false
		}
		options.Store, options.AWS = address.String(), r.cloud.config.String()
		options.Env = r.cloud.config.Environment()
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

// updateLocal starts it first: an address that cannot be had is not declared.
func (r *sidecarResource) updateLocal(ctx context.Context, m *sidecarModel, diags *diag.Diagnostics) bool {
	s, err := r.open(ctx)
	if err != nil {
		diags.AddError("The store cannot be opened", sentence(err.Error()))
		return false
	}
	return r.start(ctx, m, diags) && declareLocal(ctx, s, m, diags)
}

func (r *sidecarResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var m, former sidecarModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &former)...)
	patience, d := m.Timeouts.Update(ctx, deployPatience)
	resp.Diagnostics.Append(d...)
	if resp.Diagnostics.HasError() {
		return
	}
	if m.onEC2() {
		ok := r.deploy(ctx, &m, former.Status.ValueString() == sidecarStopped, patience, &resp.Diagnostics)
		if !ok {
			return
		}
	} else if !r.updateLocal(ctx, &m, &resp.Diagnostics) {
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// Delete leaves nothing of the sidecar behind, unless farms of other configurations remain that no other sidecar keeps: then it goes on
// for them, and this configuration is told so. The same HCL applied twice under two farm names has one sidecar between them.
func (r *sidecarResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m sidecarModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	patience, d := m.Timeouts.Delete(ctx, deployPatience)
	resp.Diagnostics.Append(d...)
	if resp.Diagnostics.HasError() {
		return
	}
	err := r.remove(ctx, m, patience)
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
		s, err := r.openExisting(ctx)
		if err == nil {
			_, err = s.Get(ctx, state.SidecarKey(req.ID))
		}
		if err != nil && !isGone(err) {
			addReadError(&resp.Diagnostics, "sidecar "+req.ID, err)
			return
		}
		if err != nil {
			resp.Diagnostics.AddError("Unknown sidecar", fmt.Sprintf("There is no sidecar %q to import in this store; the one of this machine is %q.", req.ID, localSidecar))
			return
		}
	}
	resource.ImportStatePassthroughID(ctx, path.Root("id"), req, resp)
}
