package docker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"
)

// copyScript runs in a container that mounts two volumes, and copies one to the other when it is told to. Its standard input is the
// process that started it: when that dies, the engine closes it, the script ends, and the copy with it. So a container that runs has
// somebody who sees to it. How far things were, its exit status keeps (see the constants below).
//
// All is read once before anybody is paused for it, so that the copy comes from memory: a database's files bypass it. The copy is on the disk,
// and not in memory only, before it is said to be done.
const copyScript = `
say() { echo "$*" || exit 1; }
say ready
read word || exit 3
find /from -type f -exec cat {} + >/dev/null 2>&1
say pausing
read word || exit 4
{ cp -a --reflink=auto /from/. /to/ 2>&1 && say copied || say broken; } &
read word || exit 4
sync -f /to || say broken
say done $(du -s -B1 /to)
read word || exit 5
`

// Exit statuses of copyScript. Any other, as of a container that was killed, tells nothing.
const (
	exitUnpaused = 3 // nothing had been paused for the copy
	exitResumed  = 5 // nothing was paused any more
)

// copier is a container that copies, and the line to it.
type copier struct {
	name   string
	id     string
	line   client.HijackedResponse
	heard  chan string // lines of its output; closed at its end
	before []string    // lines that were not waited for: what cp complains of
}

// copyOrder is what is copied.
type copyOrder struct {
	name     string            // of the container: the engine lets one only have it
	from, to string            // volumes
	labels   map[string]string // of the container
	toLabels map[string]string // of the volume copied to, where it does not exist yet
}

// startCopier makes the container and starts it. The error is the engine's own; a container that was made stays, for the caller to
// remove.
func (d *Docker) startCopier(ctx context.Context, c *client.Client, base baseImage, o copyOrder) (*copier, error) {
	mounted := func(volume, at string, readOnly bool, labels map[string]string) mount.Mount {
		return mount.Mount{Type: mount.TypeVolume, Source: volume, Target: at, ReadOnly: readOnly, VolumeOptions: &mount.VolumeOptions{NoCopy: true, Labels: labels}}
	}
	labels := d.labels(o.labels)
	labels[labelFrom], labels[labelCopies] = o.from, o.to
	made, err := c.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name: o.name,
		Config: &container.Config{
			Image: base.id, User: "0:0", WorkingDir: "/", Entrypoint: []string{"sh", "-c", copyScript},
			OpenStdin: true, StdinOnce: true, AttachStdin: true, AttachStdout: true, AttachStderr: true, Labels: labels,
		},
		HostConfig: &container.HostConfig{
			NetworkMode: "none", RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
			Mounts: []mount.Mount{mounted(o.from, "/from", true, nil), mounted(o.to, "/to", false, o.toLabels)},
		},
	})
	if err != nil {
		return nil, err
	}
	h := &copier{name: o.name, id: made.ID, heard: make(chan string, 16)}
	attached, err := c.ContainerAttach(ctx, h.id, client.ContainerAttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	if err != nil {
		return h, err
	}
	h.line = attached.HijackedResponse
	go h.listen()
	_, err = c.ContainerStart(ctx, h.id, client.ContainerStartOptions{})
	if err == nil {
		_, err = h.await(ctx, "ready")
	}
	if err != nil && strings.Contains(err.Error(), "executable file not found") {
		err = fmt.Errorf("image %s has no sh, cp, sync and du, which copy volumes; %s: %w", d.farm.Docker.Image, imageAdvice, err)
	}
	return h, err
}

// listen passes the container's lines on until it ends or hangUp is called.
func (h *copier) listen() {
	defer close(h.heard)
	r, w := io.Pipe()
	go func() {
		_, err := stdcopy.StdCopy(w, w, h.line.Reader)
		w.CloseWithError(err)
	}()
	defer r.Close()
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		h.heard <- lines.Text()
	}
}

// say sends a word, which lets the script go on.
func (h *copier) say(word string) error {
	_, err := io.WriteString(h.line.Conn, word+"\n")
	return err
}

// await waits for a line that begins with the word, and returns the rest of it. The error has what cp said instead.
func (h *copier) await(ctx context.Context, word string) (string, error) {
	for {
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case line, ok := <-h.heard:
			first, rest, _ := strings.Cut(line, " ")
			switch {
			case !ok || first == "broken":
				return "", h.complaint()
			case first == word:
				return rest, nil
			default:
				h.before = append(h.before, line)
			}
		}
	}
}

func (h *copier) complaint() error {
	if len(h.before) == 0 {
		return errors.New("the container that copies ended")
	}
	return errors.New(strings.Join(h.before[max(0, len(h.before)-3):], "; "))
}

// stored waits for the copy to be on the disk, and returns its size in bytes.
func (h *copier) stored(ctx context.Context) (int64, error) {
	rest, err := h.await(ctx, "done")
	if err != nil {
		return 0, err
	}
	size, _, _ := strings.Cut(rest, "\t")
	bytes, err := strconv.ParseInt(strings.Fields(size + " 0")[0], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading the size of the copy: %w", err)
	}
	return bytes, nil
}

// hangUp ends the line, and with it the container.
func (h *copier) hangUp() {
	if h.line.Conn == nil {
		return
	}
	h.line.Close()
	for range h.heard { // ends listen
	}
}
