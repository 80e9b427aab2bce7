package provider

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/deploy"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Read only looks. A dead sidecar stays in the state, so that the plan shows an update and not a second creation.
func (r *sidecarResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m sidecarModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	what, key := "sidecar "+m.ID.ValueString(), state.SidecarKey(m.ID.ValueString())
	_, declared, ok := readDeclared[spec.Sidecar](ctx, r.backend, what, key, resp)
	if !ok {
		return
	}
	r.saw(key)
	m.MetricsListen = keepEmpty(m.MetricsListen, declared.MetricsListen)
	var err error
	if declared.AWS != nil {
		err = r.lookOnEC2(ctx, &m, declared, &resp.Diagnostics)
	} else {
		err = r.lookHere(ctx, &m, &resp.Diagnostics)
	}
	if err != nil {
		addReadError(&resp.Diagnostics, what, err)
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// lookHere fills in what the daemon of this machine says.
func (r *sidecarResource) lookHere(ctx context.Context, m *sidecarModel, diags *diag.Diagnostics) error {
	dir, err := r.stateDir()
	if err != nil {
		return err
	}
	st, err := daemon.Find(ctx, dir)
	switch {
	case errors.Is(err, daemon.ErrNotRunning):
		m.Status = types.StringValue(sidecarStopped)
		diags.AddWarning("The sidecar does not run",
			fmt.Sprintf("Nothing heals or scales its farms until it is back; instances go on as they are. "+
				"The next apply starts it. Why it ended may stand in %s.", daemon.LogPath(dir)))
	case err != nil:
		return err
	default:
		m.Status = types.StringValue(sidecarRunning)
		m.Version = types.StringValue(st.Version)
		m.MetricsListen = keepEmpty(m.MetricsListen, st.Metrics) // somebody may have started it by hand
	}
	m.ID = types.StringValue(localSidecar)
	m.Local = types.ObjectValueMust(m.Local.AttributeTypes(ctx), nil)
	return nil
}

// lookOnEC2 fills in what Auto Scaling and the store say.
func (r *sidecarResource) lookOnEC2(ctx context.Context, m *sidecarModel, declared spec.Sidecar, diags *diag.Diagnostics) error {
	cfg, err := r.awsIn(ctx, declared.AWS.Region)
	if err != nil {
		return err
	}
	sidecars := deploy.NewSidecars(cfg)
	st, err := sidecars.Look(ctx, declared.ID)
	gone := errors.Is(err, deploy.ErrGone)
	if err != nil && !gone {
		return err
	}
	alive, err := r.sidecarsOf(ctx, declared.ID, "")
	if err != nil {
		return err
	}
	why := ""
	switch {
	case gone:
		why = "Its Auto Scaling group is gone."
	case alive == 0:
		why = fmt.Sprintf("It does not say in the store that it runs: %s.", st)
		if trouble, err := sidecars.Trouble(ctx, declared.ID); err == nil && trouble != "" {
			why += " Auto Scaling says: " + sentence(trouble)
		}
	}
	m.Status = types.StringValue(sidecarRunning)
	if why != "" {
		m.Status = types.StringValue(sidecarStopped)
		diags.AddWarning("The sidecar does not run", why+" Nothing heals or scales its farms until it is back; instances go on as they are. The next apply starts it.")
	}
	a := decode[sidecarAWSModel](ctx, m.AWS, diags)
	if a == nil {
		a = emptySidecarAWSModel()
	}
	looked, version := &st, st.Version
	if gone {
		looked, version = nil, declared.AWS.Version
	}
	tags := r.withoutDefaultTags(declared.AWS.Tags, stringMap(ctx, a.Tags, diags))
	a.fill(ctx, declared, looked, tags, diags)
	m.ID, m.Version = types.StringValue(declared.ID), types.StringValue(version)
	m.AWS = encode(ctx, m.AWS, a, diags)
	return nil
}
