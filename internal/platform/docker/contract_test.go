package docker

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"testing"

	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform/platformtest"
)

func TestContract(t *testing.T) {
	c := engine(t)
	importTestImage(t, c)
	nets := newSubnets(t, c)
	agent := testAgent(t)
	noSnapshots := ""
	if _, err := localImage(t.Context(), c, copyImage); err != nil {
		noSnapshots = "no image " + copyImage + ", whose cp copies volumes (make image)"
	}
	platformtest.Run(t, platformtest.Harness{
		Farm: fmt.Sprintf("fhtest-%d", os.Getpid()),
		Open: func(t *testing.T, farm string) platform.Platform {
			declared := nets.farmSpec(farm)
			declared.Docker.Image = copyImage
			d, err := New(Options{Farm: declared, AgentBinary: agent, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			return d
		},
		Address:      nets.address,
		Image:        testImage,
		MissingImage: "farmhand-platform-test:no-such-tag",
		Kill: func(t *testing.T, _ string, m platform.Machine) {
			if _, err := c.ContainerKill(t.Context(), m.ID, client.ContainerKillOptions{Signal: "KILL"}); err != nil {
				t.Fatalf("killing %s: %v", m.Instance, err)
			}
		},
		Inspect: func(t *testing.T, m platform.Machine) string {
			r, err := c.ContainerInspect(t.Context(), m.ID, client.ContainerInspectOptions{})
			if err != nil {
				t.Fatalf("inspecting %s: %v", m.Instance, err)
			}
			return string(r.Raw)
		},
		WriteFile: func(t *testing.T, m platform.Machine, name, content string) {
			var archive bytes.Buffer
			w := tar.NewWriter(&archive)
			if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: path.Base(name), Mode: 0o644, Size: int64(len(content))}); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(w, content); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := c.CopyToContainer(t.Context(), m.ID, client.CopyToContainerOptions{DestinationPath: path.Dir(name), Content: &archive}); err != nil {
				t.Fatalf("writing %s: %v", name, err)
			}
		},
		ReadFile: func(t *testing.T, m platform.Machine, name string) string {
			_, content := copyOut(t, c, m.ID, name)
			return content
		},
		Files: func(t *testing.T, m platform.Machine, dir string) []string {
			return filesOf(t, c, m.ID, dir)
		},
		NoSnapshots: noSnapshots,
		FileMode: func(t *testing.T, m platform.Machine, name string) string {
			h, _ := copyOut(t, c, m.ID, name)
			return fmt.Sprintf("%o", h.Mode&0o7777)
		},
	})
}

// filesOf lists the names in a folder of a container.
func filesOf(t *testing.T, c *client.Client, id, dir string) []string {
	t.Helper()
	r, err := c.CopyFromContainer(t.Context(), id, client.CopyFromContainerOptions{SourcePath: dir})
	if err != nil {
		t.Fatalf("listing %s: %v", dir, err)
	}
	defer r.Content.Close()
	var names []string
	for archive := tar.NewReader(r.Content); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatalf("listing %s: %v", dir, err)
		}
		names = append(names, path.Base(h.Name))
	}
}

// copyOut reads a file of a container.
func copyOut(t *testing.T, c *client.Client, id, name string) (*tar.Header, string) {
	t.Helper()
	r, err := c.CopyFromContainer(t.Context(), id, client.CopyFromContainerOptions{SourcePath: name})
	if err != nil {
		t.Fatalf("reading %s: %v", name, err)
	}
	defer r.Content.Close()
	archive := tar.NewReader(r.Content)
	h, err := archive.Next()
	if err != nil {
		t.Fatalf("reading %s: %v", name, err)
	}
	content, err := io.ReadAll(archive)
	if err != nil {
		t.Fatalf("reading %s: %v", name, err)
	}
	return h, string(content)
}
