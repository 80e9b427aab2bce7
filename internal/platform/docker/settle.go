package docker

import (
	"context"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"
)

// settled are the farm's volumes after what other processes left half-made is gone. What another one is at is left alone, and what cannot
// be removed just now: it is tried again each time.
func (d *Docker) settled(ctx context.Context, c *client.Client) (holdings, error) {
	have, err := d.holdings(ctx, c)
	if err != nil || have.whole() {
		return have, err
	}
	if changed, err := d.settle(ctx, c, d.abandonedAfter); err != nil {
		d.log.Warn("what was left half-made could not be removed; it is tried again", "error", err)
	} else if !changed {
		return have, nil
	}
	return d.holdings(ctx, c)
}

// settle tidies up after processes that died while they copied: it unpauses what they had paused, then removes the container, what was
// copied, and the mark on it, in this order: a crash in between leaves enough for the next one. What was begun within age and has no
// container that runs may be another's who is just at it.
func (d *Docker) settle(ctx context.Context, c *client.Client, age time.Duration) (changed bool, err error) {
	// First who is at work, then what there is: who has ended his work in between has made it whole.
	own := d.allUnderWay()
	copiers, err := d.copiers(ctx, c)
	if err != nil {
		return false, err
	}
	left := map[string]bool{} // by the container's name: nobody is at it any more
	for _, h := range copiers {
		left[nameOf(h)] = !own[nameOf(h)] && isLeft(h, age)
	}
	have, err := d.holdings(ctx, c)
	if err != nil {
		return false, err
	}
	for _, h := range copiers {
		if !left[nameOf(h)] {
			continue
		}
		d.log.Info("tidying up after a copy that was cut off", "container", nameOf(h))
		changed = true
		if err := d.release(ctx, c, h); err != nil {
			return changed, err
		}
	}
	nobodys := func(name string, v volume.Volume) bool {
		gone, known := left[name]
		return gone || !known && !own[name] && time.Since(timeOf(v)) >= age
	}
	var remove []string
	for name, v := range have.data {
		if r, ended := have.records[name]; (!ended || isFailed(r)) && nobodys(v.Name, v) {
			remove = append(remove, v.Name)
		}
	}
	for instance, mark := range have.marks {
		if !nobodys(mark.Name, mark) {
			continue
		}
		if partial := have.partial[instance]; partial != "" {
			remove = append(remove, partial)
		}
		remove = append(remove, mark.Name) // after what it marks
	}
	return changed || len(remove) > 0, d.removeVolumes(ctx, c, remove...)
}

// settleIfLeft is settle where one of the containers was left by a process that died.
func (d *Docker) settleIfLeft(ctx context.Context, c *client.Client, copiers []container.Summary) {
	for _, h := range copiers {
		if d.underWay(nameOf(h)) == nil && isLeft(h, d.abandonedAfter) {
			if _, err := d.settle(ctx, c, d.abandonedAfter); err != nil {
				d.log.Warn("a copy that was cut off could not be tidied up; it is tried again", "container", nameOf(h), "error", err)
			}
			return
		}
	}
}

// copiers lists the farm's containers that copy, in whatever state.
func (d *Docker) copiers(ctx context.Context, c *client.Client) ([]container.Summary, error) {
	list, err := c.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: d.mine().Add("label", labelCopies)})
	return list.Items, err
}

// isLeft tells that nobody is at a copy: its container ended without being removed, or was never started.
func isLeft(h container.Summary, age time.Duration) bool {
	switch h.State {
	case container.StateExited, container.StateDead, "stopped":
		return true
	case container.StateCreated, "initialized", "configured":
		return time.Since(time.Unix(h.Created, 0)) >= age
	}
	return false
}

// release unpauses what a copy that was cut off had paused, and removes its container. Nobody is unpaused but whom its label names, and
// only where the copy had come so far.
func (d *Docker) release(ctx context.Context, c *client.Client, h container.Summary) error {
	found, ours, err := d.inspectMine(ctx, c, h.ID)
	if err != nil || !ours {
		return err
	}
	never := found.State != nil && (found.State.Status == container.StateCreated || found.State.ExitCode == exitUnpaused || found.State.ExitCode == exitResumed)
	if ids := h.Labels[labelPauses]; ids != "" && !never {
		for id := range strings.SplitSeq(ids, ",") {
			paused, ours, err := d.inspectMine(ctx, c, id)
			if err != nil {
				return err
			}
			if !ours || paused.State == nil || !paused.State.Paused {
				continue
			}
			if err := d.unpause(ctx, c, []user{{id: id, name: strings.TrimPrefix(paused.Name, "/")}}); err != nil {
				return err
			}
		}
	}
	return d.removeCopier(ctx, c, h.ID)
}

// nameOf is a listed container's name.
func nameOf(item container.Summary) string {
	if len(item.Names) == 0 {
		return item.ID
	}
	return strings.TrimPrefix(item.Names[0], "/")
}
