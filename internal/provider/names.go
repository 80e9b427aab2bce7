package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
)

// planName refuses the plan of a new thing under a key that another one has. advice tells the way out.
func (b *backend) planName(ctx context.Context, req resource.ModifyPlanRequest, key, what, advice string, diags *diag.Diagnostics) {
	if !req.State.Raw.IsNull() || isOwned(ctx, req.Private, key) {
		return
	}
	taken, err := b.taken(ctx, key)
	switch {
	case err != nil:
		diags.AddError("The store cannot be read", sentence(err.Error()))
	case taken:
		addTaken(diags, what, advice)
	}
}

func addTaken(diags *diag.Diagnostics, what, advice string) {
	diags.AddAttributeError(path.Root("name"), "The "+what+"'s name is taken", advice)
}

// importPath imports what is known by an id of the given form, such as farm/role.
func importPath(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse, what, form, example string) {
	if strings.Count(req.ID, "/") != strings.Count(form, "/") {
		resp.Diagnostics.AddError("Not a "+what+"'s id", fmt.Sprintf("%q is not a %s's id: write it as %s, such as %s.", req.ID, what, form, example))
		return
	}
	resource.ImportStatePassthroughID(ctx, path.Root("id"), req, resp)
}
