package provider

import (
	"context"
	"fmt"
	"os"

	"github.com/hashicorp/terraform-plugin-framework-validators/resourcevalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// ConfigValidators implements resource.ResourceWithConfigValidators.
func (r *sidecarResource) ConfigValidators(context.Context) []resource.ConfigValidator {
	return []resource.ConfigValidator{resourcevalidator.ExactlyOneOf(path.MatchRoot("local"), path.MatchRoot("aws"))}
}

// ModifyPlan plans what an apply always reaches: a sidecar of this version that runs. So a dead or outdated one is an
// update in place that a person approves; nothing is started by a plan.
func (r *sidecarResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() || r.backend == nil {
		return
	}
	var plan, config sidecarModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	plan.Version, plan.Status = types.StringValue(r.version), types.StringValue(sidecarRunning)
	if plan.onEC2() {
		r.planOnEC2(ctx, req, &plan, config, &resp.Diagnostics)
	} else {
		plan.ID = types.StringValue(localSidecar)
		addProblems(&resp.Diagnostics, localSpec(&plan).Validate())
		if runner := ephemeralRunner(); runner != "" && req.State.Raw.IsNull() {
			resp.Diagnostics.AddAttributeWarning(path.Root("local"), "The sidecar runs on a machine that may be thrown away",
				fmt.Sprintf("local: %s is set, so this looks like a runner of a pipeline. A local sidecar ends with its machine, and "+
					"nothing heals or scales the farm from then on. Apply from a machine that stays, or run it on EC2 with aws = {...}.", runner))
		}
		if r.remote() && r.cloud.config.OfSession() {
			resp.Diagnostics.AddAttributeWarning(path.Root("local"), "The sidecar's credentials will expire",
				"local: the AWS credentials are a session's, by its token. The sidecar has no way to renew them, and keeps nothing when they have expired. "+
					"Name a profile that renews them (aws sso login, credential_process), or run it on EC2 with aws = {...}. "+
					"An apply after it has ended starts it with those of the moment.")
		}
	}
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
}

// planOnEC2 makes defaults and the id known, and finds what AWS can tell of what is at fault.
func (r *sidecarResource) planOnEC2(ctx context.Context, req resource.ModifyPlanRequest, plan *sidecarModel, config sidecarModel, diags *diag.Diagnostics) {
	a, c := decode[sidecarAWSModel](ctx, plan.AWS, diags), decode[sidecarAWSModel](ctx, config.AWS, diags)
	if a == nil || c == nil {
		plan.ID = unknownID
		return
	}
	if c.InstanceType.IsNull() {
		a.InstanceType = types.StringValue(spec.DefaultSidecarType)
	}
	if c.Size.IsNull() {
		a.Size = types.Int64Value(1)
	}
	plan.ID = a.Name // known, or not yet
	plan.AWS = encode(ctx, plan.AWS, a, diags)
	if diags.HasError() || !req.Config.Raw.IsFullyKnown() {
		return
	}
	s := r.sidecarOnEC2(ctx, plan, a, diags)
	creating := req.State.Raw.IsNull()
	if creating {
		r.planName(ctx, req, state.SidecarKey(s.ID), "sidecar", takenSidecar(s.ID), diags)
	}
	addProblems(diags, r.sidecarProblems(ctx, s, creating || !req.Plan.Raw.Equal(req.State.Raw)))
}

func takenSidecar(id string) string {
	return fmt.Sprintf("aws.name: a sidecar %q is declared in this store and is not in this configuration's state. Choose another name, "+
		"or take it over with `terraform import farmhand_sidecar.<name> %s`.", id, id)
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
