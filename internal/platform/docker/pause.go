package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

// pauseMost bounds the pause of a machine whose volume is copied. A replica takes its primary for gone when it has heard nothing for three
// seconds, and hears something every second; the farm takes it for silent after four, and its agent reports every two. Half a second less
// than what is left of either is never taken for a death. Health checks and the primary's lease are more patient.
const pauseMost = 1500 * time.Millisecond

// unpauseAgain is the wait between two attempts to unpause where the engine does not answer.
const unpauseAgain = 200 * time.Millisecond

// user is a container that runs and may write to a volume.
type user struct {
	id, name string
	started  string // when, as the engine writes it
	paused   bool
	ours     bool
}

// users lists who may write to a volume. What copies volumes is not among them: it only reads.
func (d *Docker) users(ctx context.Context, c *client.Client, volume string) ([]user, error) {
	list, err := c.ContainerList(ctx, client.ContainerListOptions{Filters: client.Filters{}.Add("volume", volume)})
	if err != nil {
		return nil, err
	}
	var all []user
	for _, item := range list.Items {
		if item.Labels[labelCopies] != "" {
			continue
		}
		r, err := c.ContainerInspect(ctx, item.ID, client.ContainerInspectOptions{})
		if errdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found := r.Container
		if found.State == nil || !found.State.Running || !writes(found.Mounts, volume) {
			continue
		}
		u := user{id: found.ID, name: strings.TrimPrefix(found.Name, "/"), started: found.State.StartedAt, paused: found.State.Paused}
		u.ours = found.Config != nil && found.Config.Labels[labelFarm] == d.farm.Name
		all = append(all, u)
	}
	return all, nil
}

func writes(mounts []container.MountPoint, volume string) bool {
	for _, m := range mounts {
		if m.Name == volume && m.RW {
			return true
		}
	}
	return false
}

// toPause are those that have to be paused. Who is paused already was so by somebody else, and stays so. It is an error if somebody
// writes who is not the farm's: he is not to be paused.
func toPause(all []user, volume string) ([]user, error) {
	var some []user
	for _, u := range all {
		switch {
		case u.paused:
		case !u.ours:
			return nil, fmt.Errorf("container %s, which is not the farm's, may write to volume %s: stop it, or mount it read-only there: %w", u.name, volume, platform.ErrInvalid)
		default:
			some = append(some, u)
		}
	}
	return some, nil
}

func idsOf(users []user) string {
	ids := make([]string, len(users))
	for i, u := range users {
		ids[i] = u.id
	}
	return strings.Join(ids, ",")
}

// pause pauses them, and returns those that are paused now, with an error where one cannot be.
func (d *Docker) pause(ctx context.Context, c *client.Client, users []user) (paused []user, err error) {
	for i, u := range users {
		if _, err := c.ContainerPause(ctx, u.id, client.ContainerPauseOptions{}); err != nil {
			return users[:i], fmt.Errorf("pausing %s: %w: it is tried again: %w", u.name, err, platform.ErrUnavailable)
		}
	}
	return users, nil
}

// unpause lets them go on, and tries for a while where the engine does not answer. It does so although ctx has ended.
func (d *Docker) unpause(ctx context.Context, c *client.Client, users []user) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpWithin)
	defer cancel()
	var errs []error
	for _, u := range users {
		for {
			_, err := c.ContainerUnpause(ctx, u.id, client.ContainerUnpauseOptions{})
			if err == nil || errdefs.IsNotFound(err) || !d.isPaused(ctx, c, u.id) {
				break
			}
			if ctx.Err() != nil {
				errs = append(errs, fmt.Errorf("unpausing %s: %w: `docker unpause %[1]s` does", u.name, err))
				break
			}
			time.Sleep(unpauseAgain)
		}
	}
	if err := errors.Join(errs...); err != nil {
		d.log.Error("a machine stays paused", "error", err)
		return err
	}
	return nil
}

// isPaused tells whether a container of the farm is paused; true where the engine does not say.
func (d *Docker) isPaused(ctx context.Context, c *client.Client, id string) bool {
	found, ours, err := d.inspectMine(ctx, c, id)
	return err != nil || ours && found.State != nil && found.State.Paused
}

// undisturbed tells whether nobody can have written since: the volume's users are those of then, and all are paused.
func (d *Docker) undisturbed(ctx context.Context, c *client.Client, volume string, then []user) error {
	now, err := d.users(ctx, c, volume)
	if err != nil {
		return err
	}
	before := map[string]string{}
	for _, u := range then {
		before[u.id] = u.started
	}
	for _, u := range now {
		if before[u.id] != u.started {
			return fmt.Errorf("%s was started on volume %s meanwhile", u.name, volume)
		}
		if !u.paused {
			return fmt.Errorf("%s was unpaused by somebody meanwhile", u.name)
		}
	}
	if len(now) < len(then) {
		return errors.New("a machine on volume " + volume + " was ended meanwhile")
	}
	return nil
}
