package docker

import (
	"context"
	"math"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// Terminate stops the container (the agent is told by SIGTERM and has grace to finish) and removes it with its
// anonymous volumes. One that runs no more is removed at once. An id that is not of this farm is unknown here.
func (d *Docker) Terminate(ctx context.Context, id string, grace time.Duration) error {
	if id == "" {
		return nil
	}
	doing := "terminating " + id
	c, err := d.client(ctx)
	if err != nil {
		return err
	}
	found, ok, err := d.inspectMine(ctx, c, id)
	if err != nil || !ok {
		return explain(err, doing)
	}
	if name := found.Config.Labels[labelInstance]; name != "" {
		doing = "terminating " + name
	}
	if found.State != nil && found.State.Running && grace > 0 {
		seconds := int(math.Ceil(grace.Seconds()))
		if _, err := c.ContainerStop(ctx, id, client.ContainerStopOptions{Timeout: &seconds}); err != nil && !errdefs.IsNotFound(err) {
			return explain(err, doing)
		}
	}
	_, err = c.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) { // gone, or another call is removing it
		return nil
	}
	return explain(err, doing)
}

// inspectMine looks a container up; ok is false for one that does not exist or is not the farm's.
func (d *Docker) inspectMine(ctx context.Context, c *client.Client, id string) (found container.InspectResponse, ok bool, err error) {
	r, err := c.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if errdefs.IsNotFound(err) {
		return found, false, nil
	}
	if err != nil {
		return found, false, err
	}
	found = r.Container
	return found, found.Config != nil && found.Config.Labels[labelFarm] == d.farm.Name, nil
}
