package docker

import (
	"context"
	"fmt"

	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// PreflightName tells whether the engine already holds a farm of that name. It is for one who knows that his store
// has none: then it is another store's, whose sidecar would take this one's machines for strays and end them, and
// the other way round. Kept data volumes do not count: a farm of the same name may have its data back.
func PreflightName(ctx context.Context, farm spec.Farm) []spec.Problem {
	c, err := connect(ctx, farm.Docker.Host)
	if err != nil {
		return nil // Preflight tells
	}
	defer c.Close()
	mine := client.Filters{}.Add("label", labelFarm+"="+farm.Name)
	containers, err := c.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: mine})
	if err != nil {
		return nil
	}
	networks, err := c.NetworkList(ctx, client.NetworkListOptions{Filters: mine})
	if err != nil || len(containers.Items)+len(networks.Items) == 0 {
		return nil
	}
	return []spec.Problem{{
		Attribute: "name",
		Summary:   fmt.Sprintf("this engine already holds a farm %q with %d containers, and it is not in this store: another state directory or another user runs it, or its store was lost", farm.Name, len(containers.Items)),
		Advice: fmt.Sprintf("Choose another name, or, if nobody wants it any more, remove it: docker ps -aq --filter label=%s=%s | xargs -r docker rm -fv; docker network rm %s",
			labelFarm, farm.Name, networkName(farm.Name)),
	}}
}
