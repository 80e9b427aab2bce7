package apache

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/configfile"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/packages"
)

const (
	// startTime bounds the start; with PHP it takes a tenth of a second.
	startTime = 20 * time.Second
	// reloadTime is how long a graceful reload is watched. A server whose workers are all busy takes the new
	// configuration over as they become free, and is not wrong about it.
	reloadTime = 3 * time.Second
)

// New implements behavior.Behavior.
func (Behavior) New(in behavior.Instance) behavior.Runner { return newRunner(in) }

type runner struct {
	behavior.Instance
	config  configfile.File
	service behavior.Service
	// Tests without Apache replace these.
	listens    func(context.Context) error
	generation func(context.Context) (int, error)
}

func newRunner(in behavior.Instance) *runner {
	r := &runner{Instance: in, listens: listens, generation: generation}
	r.config = configfile.File{
		Path: filepath.Join(in.Root, "etc/farmhand/apache2.conf"),
		Mode: 0o600,
		Test: func(ctx context.Context, path string) error {
			return in.Run.Run(ctx, "env", r.command("-t", "-f", path)...)
		},
	}
	return r
}

// command is apache2 with the variables that Debian's module settings refer to, which apache2ctl would read from
// /etc/apache2/envvars.
func (r *runner) command(args ...string) []string {
	run := filepath.Join(r.Root, "run/farmhand")
	return append([]string{
		"APACHE_RUN_USER=www-data", "APACHE_RUN_GROUP=www-data",
		"APACHE_RUN_DIR=" + run, "APACHE_LOCK_DIR=" + run, "APACHE_PID_FILE=" + run + "/apache2.pid",
		"APACHE_LOG_DIR=/var/log/apache2",
		"apache2"}, args...)
}

// Setup implements behavior.Runner.
func (r *runner) Setup(ctx context.Context, in behavior.Input, step func(string)) error {
	step("packages")
	if err := packages.Ensure(ctx, r.Run, r.Root, Behavior{}.Traits().Packages...); err != nil {
		return err
	}
	step("configure")
	run := filepath.Join(r.Root, "run/farmhand")
	if err := os.MkdirAll(run, 0o755); err != nil {
		return fmt.Errorf("making a place for Apache's files: %w", err)
	}
	// Left by a server that was killed, it would name some other process.
	os.Remove(filepath.Join(run, "apache2.pid"))
	config, err := render(r.Instance, in)
	if err != nil {
		return err
	}
	if err := r.config.Write(ctx, config); err != nil {
		return err
	}
	step("start")
	if err := r.service.Start(ctx, r.Run, "env", r.command("-DFOREGROUND", "-f", r.config.Path)...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("Apache did not listen within %s", startTime))
	defer cancel()
	return r.service.Await(ctx, r.listens)
}

// Apply implements behavior.Runner.
func (r *runner) Apply(ctx context.Context, in behavior.Input) error {
	config, err := render(r.Instance, in)
	if err != nil {
		return err
	}
	return r.config.Replace(ctx, config, r.reload)
}

// reload has Apache read its configuration again; workers finish the request that they are at.
func (r *runner) reload(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reloadTime)
	defer cancel()
	former, known := r.generation(ctx)
	if err := r.service.Signal(int(syscall.SIGUSR1)); err != nil {
		return fmt.Errorf("telling Apache to reload: %w", err)
	}
	if known != nil {
		return nil // too busy to be asked
	}
	_ = r.service.Await(ctx, func(ctx context.Context) error { // without an answer in time, that it lives is enough
		now, err := r.generation(ctx)
		if err == nil && now == former {
			err = fmt.Errorf("configuration %d is still in force", former)
		}
		return err
	})
	return r.service.Alive()
}

// Check implements behavior.Runner: the kernel takes connections for it. A page is not asked for: all workers busy
// is a reason for more servers and none to replace this one. What the application says is the role's health check.
func (r *runner) Check(ctx context.Context) error {
	if err := r.service.Alive(); err != nil {
		return err
	}
	return r.listens(ctx)
}

// Stop implements behavior.Runner: requests under way are finished.
func (r *runner) Stop(ctx context.Context) error {
	return r.service.Stop(ctx, int(syscall.SIGWINCH))
}

func listens(ctx context.Context) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(Behavior{}.Traits().Port)))
	if err != nil {
		return err
	}
	return conn.Close()
}

// generation asks how often the configuration was read.
func generation(ctx context.Context) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:8081/server-status?auto", nil)
	if err != nil {
		return 0, err
	}
	req.Close = true // a kept connection would hold a worker
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(body), "ParentServerConfigGeneration: ")
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.Atoi(line)
	if err != nil {
		return 0, fmt.Errorf("server-status says no generation: status %d", resp.StatusCode)
	}
	return n, nil
}
