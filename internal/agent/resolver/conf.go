package resolver

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// here is what the file says once it has been taken over.
const here = "127.0.0.1"

// Conf is the instance's resolv.conf.
type Conf struct {
	Path string // /etc/resolv.conf
	Kept string // where the one found before is kept
}

// Before returns the resolvers (host:port) that the instance had before it was taken over; none is no error.
func (c Conf) Before() ([]string, error) {
	conf, err := read(c.Path)
	if err == nil && slices.Contains(conf.Servers, here) {
		// Taken over by an agent before this one.
		conf, err = read(c.Kept)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the instance's resolvers: %w", err)
	}
	var servers []string
	for _, s := range conf.Servers {
		if s != here {
			servers = append(servers, net.JoinHostPort(s, conf.Port))
		}
	}
	return servers, nil
}

func read(path string) (*dns.ClientConfig, error) {
	conf, err := dns.ClientConfigFromFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &dns.ClientConfig{Port: "53"}, nil
	}
	return conf, err
}

// TakeOver makes the file name the resolver on this instance only, and keeps everything else that it says (search
// domains, options). It is written in place: in a container it is a mount, which cannot be renamed over. A link, by which a
// machine's own resolver keeps it, is replaced: what it leads to is not ours.
func (c Conf) TakeOver() error {
	former, err := os.ReadFile(c.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("taking the instance's resolvers over: %w", err)
	}
	lines := []string{"# Written by farmhand; what was here before is in " + c.Kept, "nameserver " + here}
	already := false
	for line := range strings.Lines(string(former)) {
		line = strings.TrimSpace(line)
		words := strings.Fields(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case words[0] == "nameserver":
			already = already || slices.Contains(words, here)
		default:
			lines = append(lines, line)
		}
	}
	if already {
		return nil
	}
	if err := os.WriteFile(c.Kept, former, 0o644); err != nil {
		return fmt.Errorf("taking the instance's resolvers over: %w", err)
	}
	if info, err := os.Lstat(c.Path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if err := os.Remove(c.Path); err != nil {
			return fmt.Errorf("taking the instance's resolvers over: %w", err)
		}
	}
	if err := os.WriteFile(c.Path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		return fmt.Errorf("taking the instance's resolvers over: %w", err)
	}
	return nil
}
