package docker

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

// agentRepository names the images that hold an agent; the tag tells base and binary.
const agentRepository = "farmhand-agent"

// leftBehindAfter is when a container that an agent image was to be made from counts as forgotten: making one takes a second.
const leftBehindAfter = 5 * time.Minute

var making keyedMutex // by tag, over all farms of this process: launches at once make an image once

// agentImage returns the tag of an image that is base with the agent's binary in it, made where it does not exist.
// So a launch copies a kilobyte and not twenty megabytes, and every container shares the binary's pages.
func (d *Docker) agentImage(ctx context.Context, c *client.Client, ref string) (string, error) {
	base, err := findImage(ctx, c, ref)
	if err != nil {
		return "", err
	}
	a, err := readAgent(d.agentBinary)
	if err != nil {
		return "", err
	}
	if err := a.suits(ref, base); err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(base.id + " " + a.hash))
	tag := agentRepository + ":" + hex.EncodeToString(sum[:6])
	d.mu.Lock()
	known := d.agents[tag]
	d.mu.Unlock()
	if known {
		return tag, nil
	}

	defer making.lock(tag)()
	_, err = c.ImageInspect(ctx, tag)
	if errdefs.IsNotFound(err) {
		err = makeAgentImage(ctx, c, tag, base, a)
	}
	if err != nil {
		return "", explain(err, fmt.Sprintf("putting the agent into image %s", ref))
	}
	d.mu.Lock()
	d.agents[tag] = true
	d.mu.Unlock()
	return tag, nil
}

// forgetAgentImage makes the next launch look again.
func (d *Docker) forgetAgentImage(tag string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.agents, tag)
}

// makeAgentImage commits a container of base that was never started and got the binary copied in.
// Two processes that do so at once make the same image twice; the later tag wins and either serves.
func makeAgentImage(ctx context.Context, c *client.Client, tag string, base baseImage, a agentBinary) error {
	_, hash, _ := strings.Cut(tag, ":")
	labels := map[string]string{labelAgent: hash, labelBase: base.id}
	config := &container.Config{Entrypoint: []string{agentPath, "agent"}, Labels: labels}
	if base.checksHealth { // the agent's checks are the ones that count
		config.Healthcheck = &container.HealthConfig{Test: []string{"NONE"}}
	}
	with := *config
	with.Image = base.id
	made, err := c.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config:     &with,
		HostConfig: &container.HostConfig{NetworkMode: "none"},
	})
	if err != nil {
		return err
	}
	defer func() {
		detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpWithin)
		defer cancel()
		// One that stays is found by its label and removed by a later Destroy.
		_, _ = c.ContainerRemove(detached, made.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	}()
	archive, closeArchive := agentArchive(a)
	defer closeArchive()
	if _, err := c.CopyToContainer(ctx, made.ID, client.CopyToContainerOptions{DestinationPath: "/", Content: archive}); err != nil {
		return fmt.Errorf("copying the agent: %w", err)
	}
	_, err = c.ContainerCommit(ctx, made.ID, client.ContainerCommitOptions{
		Reference: tag, Comment: "farmhand agent on " + base.id, NoPause: true, Config: config,
	})
	return err
}

// agentArchive streams the binary as CopyToContainer wants it.
func agentArchive(a agentBinary) (r io.Reader, closeArchive func()) {
	pr, pw := io.Pipe()
	go func() {
		pw.CloseWithError(func() error {
			f, err := os.Open(a.path)
			if err != nil {
				return err
			}
			defer f.Close()
			w := tar.NewWriter(pw)
			if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(agentPath, "/"), Mode: 0o755, Size: a.size, ModTime: a.modified}); err != nil {
				return err
			}
			if _, err := io.Copy(w, f); err != nil {
				return err
			}
			return w.Close()
		}())
	}()
	return pr, func() { pr.CloseWithError(platform.ErrUnavailable) } // ends the goroutine if the engine did not read all
}

// removeAgentImages removes the agent images that no container uses, of whatever farm: they are made again in a
// second where one is missed. Forgotten makings go with them.
func (d *Docker) removeAgentImages(ctx context.Context, c *client.Client) error {
	const doing = "removing unused agent images"
	ours := client.Filters{}.Add("label", labelAgent)
	forgotten, err := c.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ours.Clone().Add("status", "created")})
	if err != nil {
		return explain(err, doing)
	}
	for _, item := range forgotten.Items {
		// Machines inherit the image's label; the farm's label tells them apart.
		if item.Labels[labelFarm] != "" || time.Since(time.Unix(item.Created, 0)) < leftBehindAfter {
			continue
		}
		if _, err := c.ContainerRemove(ctx, item.ID, client.ContainerRemoveOptions{RemoveVolumes: true}); err != nil && !errdefs.IsNotFound(err) && !errdefs.IsConflict(err) {
			return explain(err, doing)
		}
	}
	images, err := c.ImageList(ctx, client.ImageListOptions{Filters: ours})
	if err != nil {
		return explain(err, doing)
	}
	for _, i := range images.Items {
		// A conflict is the engine's word for "in use".
		if _, err := c.ImageRemove(ctx, i.ID, client.ImageRemoveOptions{PruneChildren: true}); err != nil && !errdefs.IsNotFound(err) && !errdefs.IsConflict(err) {
			return explain(err, doing)
		}
	}
	d.mu.Lock()
	clear(d.agents)
	d.mu.Unlock()
	return nil
}
