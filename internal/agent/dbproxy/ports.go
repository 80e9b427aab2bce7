package dbproxy

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/configfile"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/packages"
)

// readSlots is how many replicas are read from through HAProxy; its servers are places that the topology fills.
const readSlots = 32

//go:embed haproxy.cfg.tmpl
var portsTemplate string

// ports is HAProxy. Servers change over its socket and not by a reload: a reload would either cut sessions at servers that stay, or
// leave those at the old primary for hours. The file says the same, for a start.
type ports struct {
	config configfile.File
	socket string
	slots  [readSlots]string // address of each place, "" for a free one
}

func newPorts(ctx context.Context, run behavior.Commander, root string) (proxy, error) {
	if err := packages.Ensure(ctx, run, root, "haproxy"); err != nil {
		return nil, err
	}
	p := &ports{socket: filepath.Join(root, "run/farmhand/mysql-haproxy.sock")}
	if err := os.MkdirAll(filepath.Dir(p.socket), 0o755); err != nil {
		return nil, fmt.Errorf("making a place for haproxy's socket: %w", err)
	}
	p.config = configfile.File{Path: filepath.Join(root, "etc/farmhand/mysql-haproxy.cfg"), Mode: 0o600, Test: func(ctx context.Context, path string) error {
		return run.Run(ctx, "haproxy", "-c", "-f", path)
	}}
	return p, nil
}

// fill gives replicas places; one that stays keeps its own.
func (p *ports) fill(replicas []string) {
	for i, address := range p.slots {
		if !slices.Contains(replicas, address) {
			p.slots[i] = ""
		}
	}
	for _, address := range replicas {
		if slices.Contains(p.slots[:], address) {
			continue
		}
		if free := slices.Index(p.slots[:], ""); free >= 0 {
			p.slots[free] = address
		}
	}
}

// nowhere stands for the address of a server that is not there.
const nowhere = "127.0.0.1:1"

type portsServer struct {
	Name, Address string
	Up            bool
}

func (p *ports) servers(w Want) (primary portsServer, reads []portsServer) {
	primary = portsServer{"primary", w.Primary, w.Primary != ""}
	for i, address := range p.slots {
		reads = append(reads, portsServer{fmt.Sprintf("replica%d", i+1), address, address != ""})
	}
	for i := range reads {
		if !reads[i].Up {
			reads[i].Address = nowhere
		}
	}
	if !primary.Up {
		primary.Address = nowhere
	}
	return primary, reads
}

func (p *ports) write(ctx context.Context, w Want) error {
	p.fill(w.Replicas)
	t, err := template.New("haproxy.cfg").Parse(portsTemplate)
	if err != nil {
		return err
	}
	primary, reads := p.servers(w)
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{"Socket": p.socket, "Host": Host, "Port": w.Port, "ReadPort": w.ReadPort, "Primary": primary, "Reads": reads})
	if err != nil {
		return err
	}
	if err := p.config.Write(ctx, b.Bytes()); err != nil {
		return fmt.Errorf("the proxy to the database: %w", err)
	}
	return nil
}

func (p *ports) command() (string, []string) {
	return "haproxy", []string{"-db", "-f", p.config.Path}
}

// ready: its own socket answers. A connection to a port would be passed on to a server.
func (p *ports) ready(ctx context.Context, _ Want) error {
	_, err := p.ask(ctx, "show info")
	return err
}

// change tells the running process. Sessions at a server that is none any more are ended: their clients connect anew, and come to the
// right one.
func (p *ports) change(ctx context.Context, _ *behavior.Service, before, w Want) error {
	primary, reads := p.servers(w)
	commands := place("write/primary", primary, before.Primary != w.Primary)
	commands = append(commands, place("read/primary", primary, before.Primary != w.Primary)...)
	for _, r := range reads {
		commands = append(commands, place("read/"+r.Name, r, !r.Up || !slices.Contains(before.Replicas, r.Address))...)
	}
	answer, err := p.ask(ctx, strings.Join(commands, "; "))
	if err != nil {
		return err
	}
	if answer = strings.TrimSpace(answer); strings.Contains(answer, "No such") || strings.Contains(answer, "Unknown") || strings.Contains(answer, "nvalid") {
		return fmt.Errorf("telling haproxy which servers there are: it answered %q", answer)
	}
	return nil
}

func place(name string, s portsServer, moved bool) []string {
	var commands []string
	if moved {
		commands = append(commands, "set server "+name+" state maint", "shutdown sessions server "+name)
	}
	if !s.Up {
		return commands
	}
	host, port, _ := net.SplitHostPort(s.Address)
	return append(commands, "set server "+name+" addr "+host+" port "+port, "set server "+name+" state ready")
}

func (p *ports) ask(ctx context.Context, commands string) (string, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", p.socket)
	if err != nil {
		return "", fmt.Errorf("asking haproxy: %w", err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(startTime))
	if _, err := io.WriteString(conn, commands+"\n"); err != nil {
		return "", fmt.Errorf("asking haproxy: %w", err)
	}
	answer, err := io.ReadAll(io.LimitReader(conn, 1<<16))
	if err != nil {
		return "", fmt.Errorf("asking haproxy: %w", err)
	}
	return string(answer), nil
}
