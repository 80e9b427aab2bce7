package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Options say which sidecar is to run.
type Options struct {
	StateDir   string   // empty: StateDir()
	Executable string   // copied into the state directory and run from there; empty: the running one
	Version    string   // of Executable
	Store      string   // address of a store that is elsewhere; empty: the one in StateDir
	AWS        string   // how AWS is reached, for AWSVariable; empty: as the environment says
	Metrics    string   // address to serve metrics at; empty: none
	Env        []string // beside the few variables that are passed on, "NAME=value"
}

// startPatience is how long a sidecar may take from exec to its first answer: it opens its store before.
const startPatience = 20 * time.Second

// maxLog is the size beyond which a start puts the log aside; one former log is kept. The sidecar logs events and
// trouble, so that this is months.
const maxLog = 10 << 20

// Start makes sure that a sidecar of this executable and version runs, and returns when it answers. One of another
// version is stopped first (instances live on, the new one adopts them); one of the same is left alone.
// If it does not come up, the error ends in the last lines of its log. The sidecar outlives ctx and this process.
func Start(ctx context.Context, opts Options) (Status, error) {
	if err := opts.complete(); err != nil {
		return Status{}, err
	}
	if err := EnsureStateDir(opts.StateDir); err != nil {
		return Status{}, err
	}
	turn, err := takeTurn(ctx, opts.StateDir)
	if err != nil {
		return Status{}, err
	}
	defer turn.Close()

	path, err := Install(opts.StateDir, opts.Executable, opts.Version)
	if err != nil {
		return Status{}, err
	}
	running, err := Find(ctx, opts.StateDir)
	switch {
	case err == nil && running.Version == opts.Version && running.Executable == path && running.Store == opts.Store && running.AWS == opts.AWS && running.Metrics == opts.Metrics:
		return running, nil
	case err == nil:
		if err := checkMetrics(ctx, opts.Metrics, running); err != nil {
			return Status{}, err
		}
		if err := Stop(ctx, opts.StateDir); err != nil {
			return Status{}, fmt.Errorf("replacing sidecar %s by %s: %w", running.Version, opts.Version, err)
		}
	case !errors.Is(err, ErrNotRunning):
		return Status{}, fmt.Errorf("starting the sidecar: %w; end that process by hand", err)
	}
	return launch(ctx, path, opts)
}

func (o *Options) complete() (err error) {
	if o.StateDir == "" {
		if o.StateDir, err = StateDir(); err != nil {
			return err
		}
	}
	if o.StateDir, err = filepath.Abs(o.StateDir); err != nil { // the sidecar's working directory is another
		return fmt.Errorf("finding the state directory: %w", err)
	}
	if o.Executable == "" {
		if o.Executable, err = os.Executable(); err != nil {
			return fmt.Errorf("finding the running executable: %w", err)
		}
	}
	return nil
}

// takeTurn keeps two callers from starting at the same time.
func takeTurn(ctx context.Context, stateDir string) (*os.File, error) {
	for {
		f, err := acquire(startPath(stateDir))
		if !errors.Is(err, errLocked) {
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for another start of the sidecar in %s: %w", stateDir, ctx.Err())
		case <-time.After(pollEvery):
		}
	}
}

// launch runs the copy, detached, and waits for its answer.
func launch(ctx context.Context, path string, opts Options) (Status, error) {
	if info, err := os.Stat(LogPath(opts.StateDir)); err == nil && info.Size() > maxLog {
		_ = os.Rename(LogPath(opts.StateDir), formerLogPath(opts.StateDir))
	}
	log, err := os.OpenFile(LogPath(opts.StateDir), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return Status{}, fmt.Errorf("opening the sidecar's log: %w", err)
	}
	defer log.Close()
	var from int64
	if info, err := log.Stat(); err == nil {
		from = info.Size()
	}

	cmd, err := startOnceNotBusy(ctx, func() *exec.Cmd {
		// Not CommandContext: ctx is a request's, and the sidecar outlives it.
		args := []string{"run", "--state-dir", opts.StateDir}
		if opts.Metrics != "" {
			args = append(args, "--metrics-listen", opts.Metrics)
		}
		if opts.Store != "" {
			args = append(args, "--store", opts.Store, "--sidecar", "local")
		}
		cmd := exec.Command(path, args...)
		cmd.Dir = "/"
		cmd.Env = append(environment(os.Environ()), opts.Env...)
		cmd.Env = append(cmd.Env, StoreVariable+"=", AWSVariable+"="+opts.AWS) // its own, not those of whoever applies
		cmd.Stdout, cmd.Stderr = log, log                                      // files, not pipes: a pipe's dead reader would end it at its first line
		detach(cmd)
		return cmd
	})
	if err != nil {
		return Status{}, fmt.Errorf("starting the sidecar: %w", err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait() // how it ended is in cmd.ProcessState
	}()

	deadline := time.NewTimer(startPatience)
	defer deadline.Stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if s, err := Find(ctx, opts.StateDir); err == nil && s.PID == cmd.Process.Pid {
			return s, nil
		}
		select {
		case <-exited:
			return Status{}, fmt.Errorf("the sidecar ended while starting (%s)%s", cmd.ProcessState, logTail(opts.StateDir, from))
		case <-deadline.C:
			_ = cmd.Process.Kill()
			return Status{}, fmt.Errorf("the sidecar did not answer within %s%s", startPatience, logTail(opts.StateDir, from))
		case <-ctx.Done():
			// Nothing half-made stays behind: it has not answered, so that nobody counts on it.
			_ = cmd.Process.Kill()
			return Status{}, fmt.Errorf("starting the sidecar: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// passedOn are the variables that a sidecar has a use for. Terraform's are not among them.
var passedOn = []string{
	"HOME", "USER", "LOGNAME", "PATH", "LANG", "TZ", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_STATE_HOME",
	"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_API_VERSION", "CONTAINER_HOST",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
	// AWS' own chain of credentials and settings: for a store, metrics and backups there.
	"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ROLE_SESSION_NAME", "AWS_RETRY_MODE", "AWS_MAX_ATTEMPTS",
	"AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE", "AWS_EC2_METADATA_DISABLED",
	"AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE",
	"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
	"GOCOVERDIR", "GOTRACEBACK",
}

func environment(from []string) []string {
	var env []string
	for _, kv := range from {
		name, _, _ := strings.Cut(kv, "=")
		ok := strings.HasPrefix(name, "FARMHAND_") || strings.HasPrefix(name, "AWS_ENDPOINT_URL")
		for _, p := range passedOn {
			ok = ok || name == p
		}
		if ok {
			env = append(env, kv)
		}
	}
	return env
}

// logTail is the end of what was logged since offset from, ready to end an error message.
func logTail(stateDir string, from int64) string {
	const maxBytes, maxLines = 8 << 10, 12
	f, err := os.Open(LogPath(stateDir))
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size()-from > maxBytes {
		from = info.Size() - maxBytes
	}
	b, err := io.ReadAll(io.NewSectionReader(f, from, maxBytes))
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) > maxLines {
		lines = lines[len(lines)-maxLines:]
	}
	if len(lines) == 1 && lines[0] == "" {
		return fmt.Sprintf("; it logged nothing to %s", LogPath(stateDir))
	}
	return fmt.Sprintf("; the last lines of %s:\n%s", LogPath(stateDir), strings.Join(lines, "\n"))
}

// startOnceNotBusy starts a command whose executable this process has just written. A child that another goroutine
// forks at that moment holds the file open for writing until its own exec, and the kernel then refuses ours as "text
// file busy" (golang/go#22315): it passes within milliseconds.
func startOnceNotBusy(ctx context.Context, command func() *exec.Cmd) (*exec.Cmd, error) {
	return backoff.Retry(ctx, func() (*exec.Cmd, error) {
		cmd := command()
		err := cmd.Start()
		if err != nil && !errors.Is(err, syscall.ETXTBSY) {
			err = backoff.Permanent(err)
		}
		return cmd, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(pollEvery)), backoff.WithMaxElapsedTime(startPatience))
}
