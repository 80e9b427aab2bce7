package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

const (
	// pullSilence ends a pull that makes no progress: a registry that can be reached says something within seconds.
	pullSilence = 30 * time.Second
	// askRegistryWithin bounds the question whether a registry has an image: a plan waits for it.
	askRegistryWithin = 10 * time.Second
)

// imageAdvice ends every error about an image that cannot be had.
const imageAdvice = "`make image` builds farmhand-lamp:bookworm, or set docker.image (or the role's image) to one that `docker pull` can fetch"

// baseImage is what is known of an image that machines are made from.
type baseImage struct {
	id           string
	architecture string // GOARCH's word
	checksHealth bool   // by a command of its own
}

var pulls keyedMutex // by reference, over all farms of this process

// Check tells whether the role's image exists, here or at a registry, and suits. It pulls nothing: Launch does.
func (d *Docker) Check(ctx context.Context, role spec.Role) error {
	doing := "checking role " + role.Name
	c, err := d.client(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	ref := d.imageOf(role.Image)
	base, err := localImage(ctx, c, ref)
	if errdefs.IsNotFound(err) {
		if err := askRegistry(ctx, c, ref); err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if d.agentBinary == "" {
		return nil
	}
	a, err := readAgent(d.agentBinary)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if err := a.suits(ref, base); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// askRegistry returns an ErrInvalid if no registry has the image.
func askRegistry(ctx context.Context, c *client.Client, ref string) error {
	ask, cancel := context.WithTimeout(ctx, askRegistryWithin)
	defer cancel()
	_, err := c.DistributionInspect(ask, ref, client.DistributionInspectOptions{})
	if err == nil || lacksDistribution(err) {
		return nil
	}
	return noImage(ref, err)
}

// lacksDistribution knows an engine that cannot be asked what a registry has: Podman. The launch will tell.
func lacksDistribution(err error) bool {
	lower := strings.ToLower(err.Error())
	return errdefs.IsNotImplemented(err) || strings.Contains(lower, "page not found") || strings.Contains(lower, "path not found")
}

// noImage is the error of an image that is neither here nor at a registry; err is the registry's.
func noImage(ref string, err error) error {
	return fmt.Errorf("image %q does not exist here and could not be pulled (%s); %s: %w", ref, registryTrouble(err), imageAdvice, platform.ErrInvalid)
}

// findImage looks an image up here and, where it is not, pulls it once.
func findImage(ctx context.Context, c *client.Client, ref string) (baseImage, error) {
	base, err := localImage(ctx, c, ref)
	if !errdefs.IsNotFound(err) {
		return base, err
	}
	defer pulls.lock(ref)()
	if base, err := localImage(ctx, c, ref); !errdefs.IsNotFound(err) { // another launch pulled it meanwhile
		return base, err
	}
	if err := pull(ctx, c, ref); err != nil {
		if ctx.Err() != nil {
			return baseImage{}, fmt.Errorf("pulling image %s: %w", ref, ctx.Err())
		}
		if e := explain(err, "pulling image "+ref); errors.Is(e, platform.ErrCapacity) {
			return baseImage{}, e
		}
		return baseImage{}, noImage(ref, err)
	}
	return localImage(ctx, c, ref)
}

// localImage asks the engine; its own NotFound comes back unexplained, for the caller to tell apart.
func localImage(ctx context.Context, c *client.Client, ref string) (baseImage, error) {
	if ref == "" {
		return baseImage{}, fmt.Errorf("no image is named: %s: %w", imageAdvice, platform.ErrInvalid)
	}
	i, err := c.ImageInspect(ctx, ref)
	if errdefs.IsNotFound(err) {
		return baseImage{}, err
	}
	if err != nil {
		return baseImage{}, explain(err, "looking up image "+ref)
	}
	if i.Os != "" && i.Os != "linux" {
		return baseImage{}, fmt.Errorf("image %q is made for %s, the agent runs on linux: %s: %w", ref, i.Os, imageAdvice, platform.ErrInvalid)
	}
	return baseImage{id: i.ID, architecture: i.Architecture, checksHealth: i.Config != nil && i.Config.Healthcheck != nil}, nil
}

// pull fetches an image and gives up when nothing moves.
func pull(ctx context.Context, c *client.Client, ref string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(pullSilence, func() { cancel(fmt.Errorf("the registry said nothing for %s", pullSilence)) })
	defer silence.Stop()

	progress, err := c.ImagePull(ctx, ref, client.ImagePullOptions{})
	if err != nil {
		return orCause(ctx, err)
	}
	defer progress.Close()
	for message, err := range progress.JSONMessages(ctx) {
		silence.Reset(pullSilence)
		if err != nil {
			return orCause(ctx, err)
		}
		if message.Error != nil {
			return message.Error
		}
	}
	return orCause(ctx, ctx.Err())
}

func orCause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// registryTrouble puts a failed pull in words.
func registryTrouble(err error) string {
	text := firstLine(err.Error())
	lower := strings.ToLower(text)
	for _, sign := range []string{"no such host", "i/o timeout", "connection refused", "said nothing", "network is unreachable", "client.timeout", "proxyconnect", "name resolution", "deadline exceeded"} {
		if strings.Contains(lower, sign) {
			return "no registry answers: " + text
		}
	}
	return text
}
