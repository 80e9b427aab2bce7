package provider

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// removeGone takes what no longer exists out of Terraform's state and says so: the plan then makes it anew.
func removeGone(ctx context.Context, what string, cause error, b *backend, resp *resource.ReadResponse) {
	detail := fmt.Sprintf("It was removed outside of Terraform: %s.", cause)
	if errors.Is(cause, errNoStore) {
		dir, _ := b.stateDir()
		detail = fmt.Sprintf("There is no store in %s. If it is elsewhere, set the provider's state_dir or FARMHAND_STATE_DIR before you apply.", dir)
	}
	resp.Diagnostics.AddWarning("The "+what+" is gone", detail)
	resp.State.RemoveResource(ctx)
}

// readDeclared reads what is declared under key, for a refresh. Where ok is false there is nothing to go on with: what
// no longer exists was taken out of Terraform's state, and what cannot be read is an error there.
func readDeclared[D any](ctx context.Context, b *backend, what, key string, resp *resource.ReadResponse) (s store.Store, declared D, ok bool) {
	s, err := b.openExisting(ctx)
	if err == nil {
		declared, _, err = store.GetJSON[D](ctx, s, key)
	}
	switch {
	case isGone(err):
		removeGone(ctx, what, err, b, resp)
	case err != nil:
		addReadError(&resp.Diagnostics, what, err)
	default:
		return s, declared, true
	}
	return nil, declared, false
}

// addReadError is for everything that is not an absence: what cannot be read is never taken for gone.
func addReadError(diags *diag.Diagnostics, what string, err error) {
	diags.AddError("The "+what+" cannot be read", sentence(err.Error()))
}
