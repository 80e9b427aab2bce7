package memcached

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/packages"
)

// startTime bounds the start, which takes some hundredths of a second.
const startTime = 10 * time.Second

// New implements behavior.Behavior.
func (Behavior) New(in behavior.Instance) behavior.Runner {
	return &runner{Instance: in, ask: ask}
}

type runner struct {
	behavior.Instance
	service behavior.Service
	ask     func(context.Context) error // tests without memcached replace it
}

// Setup implements behavior.Runner.
func (r *runner) Setup(ctx context.Context, _ behavior.Input, step func(string)) error {
	t, role := Behavior{}.Traits(), r.Assignment.Role
	step("packages")
	if err := packages.Ensure(ctx, r.Run, r.Root, t.Packages...); err != nil {
		return err
	}
	step("start")
	// Its own limit of connections is asked of the kernel, so it is always said.
	err := r.service.Start(ctx, r.Run, "memcached", "-u", "memcache", "-l", "0.0.0.0", "-p", strconv.Itoa(t.Port), "-U", "0",
		"-m", t.Value(role, "memory_mb"), "-c", t.Value(role, "max_connections"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("memcached did not answer within %s", startTime))
	defer cancel()
	return r.service.Await(ctx, r.ask)
}

// Apply has nothing to do: a cache does not follow the topology.
func (*runner) Apply(context.Context, behavior.Input) error { return nil }

// Check implements behavior.Runner.
func (r *runner) Check(ctx context.Context) error {
	if err := r.service.Alive(); err != nil {
		return err
	}
	return r.ask(ctx)
}

// Stop implements behavior.Runner.
func (r *runner) Stop(ctx context.Context) error {
	return r.service.Stop(ctx, int(syscall.SIGTERM))
}

// ask has it say its version, over the connection that its clients use.
func ask(ctx context.Context) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(Behavior{}.Traits().Port)))
	if err != nil {
		return fmt.Errorf("asking memcached: %w", err)
	}
	defer conn.Close()
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(startTime)
	}
	conn.SetDeadline(deadline)
	if _, err := conn.Write([]byte("version\r\n")); err != nil {
		return fmt.Errorf("asking memcached: %w", err)
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return fmt.Errorf("asking memcached: %w", err)
	}
	if !strings.HasPrefix(answer, "VERSION ") {
		return fmt.Errorf("asking memcached: it answered %q", strings.TrimSpace(answer))
	}
	return nil
}
