package dbproxy

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/configfile"
	"github.com/farmhand/terraform-provider-farmhand/internal/sqlproxy"
)

// termSignal asks a process to end.
const termSignal = syscall.SIGTERM

// split is the splitting proxy: the agent's own executable in another process, so that neither takes the other with it.
type split struct {
	executable string
	config     configfile.File
	status     string
}

func newSplit(root string) (proxy, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the proxy's executable: %w", err)
	}
	s := &split{executable: executable, status: filepath.Join(root, "run/farmhand/mysql-proxy.sock")}
	// The password is in it.
	s.config = configfile.File{Path: filepath.Join(root, "etc/farmhand/mysql-proxy.json"), Mode: 0o600}
	if err := os.MkdirAll(filepath.Dir(s.status), 0o755); err != nil {
		return nil, fmt.Errorf("making a place for the proxy's socket: %w", err)
	}
	return s, nil
}

func (s *split) write(ctx context.Context, w Want) error {
	b, err := json.MarshalIndent(sqlproxy.Config{
		Listen: net.JoinHostPort(Host, strconv.Itoa(w.Port)), Status: s.status, User: w.User, Password: w.Password,
		Backends: sqlproxy.Backends{Term: w.Term, Primary: w.Primary, Replicas: w.Replicas},
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := s.config.Write(ctx, append(b, '\n')); err != nil {
		return fmt.Errorf("the proxy to the database: %w", err)
	}
	return nil
}

func (s *split) command() (string, []string) {
	return s.executable, []string{"mysql-proxy", "--config", s.config.Path}
}

func (s *split) ready(ctx context.Context, w Want) error { return listens(ctx, w.Port) }

func (s *split) change(_ context.Context, service *behavior.Service, _, _ Want) error {
	if err := service.Signal(int(syscall.SIGHUP)); err != nil {
		return fmt.Errorf("telling the proxy to the database to read its file again: %w", err)
	}
	return nil
}
