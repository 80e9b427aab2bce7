package sqlproxy

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// Config is a proxy's declaration, as its file holds it. Listen, Status and MaxConnections are read at the start alone.
type Config struct {
	// Listen is host:port; empty for DefaultListen.
	Listen string `json:"listen,omitempty"`
	// Status is the path of a Unix socket that answers every connection with the counters as JSON; empty for none.
	Status string `json:"status,omitempty"`

	// User and Password are the application's: clients prove that they know them, and servers are logged in to with them.
	User string `json:"user"`
	// Password is taken from PasswordFile where that is given, less one newline at its end.
	Password     string `json:"password,omitempty"`
	PasswordFile string `json:"password_file,omitempty"`

	Backends Backends `json:"backends"`

	// MaxConnections bounds the clients; 0 for DefaultMaxConnections. One more is refused with error 1040.
	MaxConnections int `json:"max_connections,omitempty"`
	// MaxPacket bounds a command in bytes; 0 for DefaultMaxPacket. The servers have a limit of their own.
	MaxPacket int `json:"max_packet,omitempty"`
	// Hold is how long a statement waits for a primary that takes it; 0 for DefaultHold.
	Hold spec.Duration `json:"hold,omitempty"`
	// Wait is how long a read waits for a replica that lacks a write made through this proxy, before it goes to the primary;
	// 0 for DefaultWait.
	Wait spec.Duration `json:"wait,omitempty"`
	// DrainTime is how long statements under way at a server that is taken out may go on; 0 for DefaultDrain.
	DrainTime spec.Duration `json:"drain,omitempty"`
}

const (
	DefaultListen         = "127.0.0.1:3306"
	DefaultMaxConnections = 1000
	DefaultMaxPacket      = 64 << 20 // larger than MariaDB's own default, 16 MB
	// DefaultHold is longer than a change of the primary takes by some margin, and shorter than clients wait.
	DefaultHold = spec.Duration(10 * time.Second)
	// DefaultWait is a few times what a replica needs in calm: longer would make every read of a lagging farm slow.
	DefaultWait  = spec.Duration(20 * time.Millisecond)
	DefaultDrain = spec.Duration(3 * time.Second)
)

func (c Config) withDefaults() Config {
	c.Listen = cmp.Or(c.Listen, DefaultListen)
	c.MaxConnections = cmp.Or(c.MaxConnections, DefaultMaxConnections)
	c.MaxPacket = cmp.Or(c.MaxPacket, DefaultMaxPacket)
	c.Hold = cmp.Or(c.Hold, DefaultHold)
	c.Wait = cmp.Or(c.Wait, DefaultWait)
	c.DrainTime = cmp.Or(c.DrainTime, DefaultDrain)
	return c
}

func (c Config) check() error {
	if c.User == "" {
		return errors.New("it names no user: give the application's")
	}
	if c.MaxConnections < 0 || c.MaxPacket < 0 || c.Hold < 0 || c.Wait < 0 || c.DrainTime < 0 {
		return errors.New("a limit is negative: leave it out for its default")
	}
	return nil
}

// ReadConfig reads a proxy's file, and the password's.
func ReadConfig(path string) (Config, error) {
	var c Config
	raw, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("reading the proxy's configuration: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, fmt.Errorf("reading the proxy's configuration: %s: %w", path, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return c, fmt.Errorf("reading the proxy's configuration: %s: something follows it", path)
	}
	if c.PasswordFile != "" {
		secret, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return c, fmt.Errorf("reading the application's password: %w", err)
		}
		c.Password = string(bytes.TrimSuffix(secret, []byte("\n")))
	}
	if err := c.check(); err != nil {
		return c, fmt.Errorf("reading the proxy's configuration: %s: %w", path, err)
	}
	return c, nil
}
