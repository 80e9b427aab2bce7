package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

// answerWithin bounds the first ping of an engine: a healthy one answers in milliseconds, one that is being
// started by its socket unit in a second or two.
const answerWithin = 5 * time.Second

// candidates lists where an engine may listen, best first. A host that someone named is the only candidate:
// falling back from it would build the farm where nobody looks for it.
func candidates(host string, getenv func(string) string) []string {
	if host != "" {
		return []string{host}
	}
	if env := getenv("DOCKER_HOST"); env != "" {
		return []string{env}
	}
	paths := []string{"/var/run/docker.sock", "/run/podman/podman.sock"}
	if run := getenv("XDG_RUNTIME_DIR"); run != "" { // rootless engines
		paths = append(paths, filepath.Join(run, "podman/podman.sock"), filepath.Join(run, "docker.sock"))
	}
	if home := getenv("HOME"); home != "" { // Docker Desktop on macOS and on Linux
		paths = append(paths, filepath.Join(home, ".docker/run/docker.sock"), filepath.Join(home, ".docker/desktop/docker.sock"))
	}
	hosts := make([]string, len(paths))
	for i, p := range paths {
		hosts[i] = "unix://" + p
	}
	return hosts
}

// connect returns a client of the first engine that answers, its API version negotiated.
func connect(ctx context.Context, host string) (*client.Client, error) {
	var tried []string
	for _, h := range candidates(host, os.Getenv) {
		if why := unusable(h); why != "" {
			tried = append(tried, h+" ("+why+")")
			continue
		}
		c, err := client.New(client.WithTLSClientConfigFromEnv(), client.WithHost(h))
		if err != nil {
			return nil, fmt.Errorf("docker.host %q: %w: write it as in unix:///var/run/docker.sock: %w", h, err, platform.ErrInvalid)
		}
		ping, cancel := context.WithTimeout(ctx, answerWithin)
		_, err = c.Ping(ping, client.PingOptions{NegotiateAPIVersion: true})
		cancel()
		if err == nil {
			return c, nil
		}
		c.Close()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("looking for a container engine: %w", ctx.Err())
		}
		tried = append(tried, h+" ("+firstLine(err.Error())+")")
	}
	return nil, fmt.Errorf("no container engine answers; tried %s. Start one (`systemctl start docker`, or `systemctl start podman.socket`), "+
		"install one (`apt-get install docker.io`), or name its socket in docker.host or DOCKER_HOST: %w", strings.Join(tried, ", "), platform.ErrUnavailable)
}

// unusable says why a unix socket cannot be used, "" if nothing speaks against it.
func unusable(host string) string {
	path, isUnix := strings.CutPrefix(host, "unix://")
	if !isUnix {
		return ""
	}
	switch _, err := os.Stat(path); {
	case err == nil:
		return ""
	case errors.Is(err, fs.ErrNotExist):
		return "no such socket"
	case errors.Is(err, fs.ErrPermission):
		return "not permitted"
	default:
		return firstLine(err.Error())
	}
}

// isRemote tells whether the engine runs on another machine: its containers could not reach this sidecar.
func isRemote(host string) bool {
	u, err := url.Parse(host)
	if err != nil || u.Scheme == "unix" || u.Scheme == "npipe" {
		return false
	}
	switch u.Hostname() {
	case "localhost", "127.0.0.1", "::1", "":
		return false
	}
	return true
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s
}
