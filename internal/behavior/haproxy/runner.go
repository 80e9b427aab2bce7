package haproxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/configfile"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/packages"
)

const (
	// reloadTime bounds a start and a reload. Either takes a tenth of a second; on a starved machine longer.
	reloadTime = 10 * time.Second
	// softStopTime is what answers under way get at the end. Who leaves is out of DNS before, and an idle client
	// would hold haproxy until its keep-alive timeout.
	softStopTime = 3 * time.Second
)

// New implements behavior.Behavior.
func (Behavior) New(in behavior.Instance) behavior.Runner { return newRunner(in) }

type runner struct {
	behavior.Instance
	config  configfile.File
	socket  string
	service behavior.Service
	// inForce asks haproxy for the version of its configuration; tests without haproxy replace it.
	inForce func(ctx context.Context, socket string) (string, error)
}

func newRunner(in behavior.Instance) *runner {
	r := &runner{Instance: in, socket: filepath.Join(in.Root, "run/farmhand/haproxy.sock"), inForce: inForce}
	r.config = configfile.File{
		Path: filepath.Join(in.Root, "etc/farmhand/haproxy.cfg"),
		Mode: 0o600,
		Test: func(ctx context.Context, path string) error {
			return in.Run.Run(ctx, "haproxy", "-c", "-f", path)
		},
	}
	return r
}

// Setup implements behavior.Runner.
func (r *runner) Setup(ctx context.Context, in behavior.Input, step func(string)) error {
	step("packages")
	if err := packages.Ensure(ctx, r.Run, r.Root, Behavior{}.Traits().Packages...); err != nil {
		return err
	}
	step("configure")
	if err := os.MkdirAll(filepath.Dir(r.socket), 0o755); err != nil {
		return fmt.Errorf("making a place for haproxy's socket: %w", err)
	}
	config, version, err := render(r.Instance, in, r.socket)
	if err != nil {
		return err
	}
	if err := r.config.Write(ctx, config); err != nil {
		return err
	}
	step("start")
	// -W: a master that stays and takes the signals, and workers that come and go with the configuration.
	// -db: in the foreground.
	if err := r.service.Start(ctx, r.Run, "haproxy", "-W", "-db", "-f", r.config.Path); err != nil {
		return err
	}
	return r.await(ctx, version)
}

// Apply implements behavior.Runner.
func (r *runner) Apply(ctx context.Context, in behavior.Input) error {
	config, _, err := render(r.Instance, in, r.socket)
	if err != nil {
		return err
	}
	return r.config.Replace(ctx, config, r.reload)
}

// reload makes the master read the file again, and returns when a worker with that configuration answers.
func (r *runner) reload(ctx context.Context) error {
	version, err := versionOf(r.config.Path)
	if err != nil {
		return err
	}
	if err := r.service.Signal(int(syscall.SIGUSR2)); err != nil {
		return fmt.Errorf("telling haproxy to reload: %w", err)
	}
	return r.await(ctx, version)
}

func (r *runner) await(ctx context.Context, version string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, reloadTime, fmt.Errorf("haproxy did not take its configuration over within %s", reloadTime))
	defer cancel()
	return r.service.Await(ctx, func(ctx context.Context) error {
		v, err := r.inForce(ctx, r.socket)
		if err == nil && v != version {
			err = fmt.Errorf("configuration %q is in force instead of %q", v, version)
		}
		return err
	})
}

// Check implements behavior.Runner: a worker answers. Whether there are servers is no matter of the balancer's health.
func (r *runner) Check(ctx context.Context) error {
	if err := r.service.Alive(); err != nil {
		return err
	}
	_, err := r.inForce(ctx, r.socket)
	return err
}

// Stop implements behavior.Runner.
func (r *runner) Stop(ctx context.Context) error {
	soft, cancel := context.WithTimeout(ctx, softStopTime)
	defer cancel()
	// Listens no more and finishes what it has.
	if r.service.Signal(int(syscall.SIGUSR1)) != nil || r.service.Wait(soft) {
		return nil
	}
	return r.service.Stop(ctx, int(syscall.SIGTERM))
}

// inForce asks the newest worker over its socket for the version that render put into the configuration.
func inForce(ctx context.Context, socket string) (string, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return "", fmt.Errorf("asking haproxy: %w", err)
	}
	defer conn.Close()
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(reloadTime)
	}
	conn.SetDeadline(deadline)
	if _, err := io.WriteString(conn, "show env FARMHAND_CONFIGURATION\n"); err != nil {
		return "", fmt.Errorf("asking haproxy: %w", err)
	}
	answer, err := io.ReadAll(io.LimitReader(conn, 4096))
	if err != nil {
		return "", fmt.Errorf("asking haproxy: %w", err)
	}
	_, version, ok := strings.Cut(strings.TrimSpace(string(answer)), "FARMHAND_CONFIGURATION=")
	if !ok {
		return "", fmt.Errorf("asking haproxy: it answered %q", answer)
	}
	return version, nil
}

// versionOf reads the version out of a rendered configuration: reload is called for the former file too.
func versionOf(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading haproxy's configuration: %w", err)
	}
	_, rest, ok := strings.Cut(string(b), `setenv FARMHAND_CONFIGURATION "`)
	version, _, closed := strings.Cut(rest, `"`)
	if !ok || !closed {
		return "", fmt.Errorf("%s holds no version", path)
	}
	return version, nil
}
