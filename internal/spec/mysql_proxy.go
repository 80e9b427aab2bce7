package spec

import (
	"fmt"
	"slices"
	"strings"
)

// Modes of a proxy to a database role.
const (
	// ProxySplit: one address, on which plain reads go to replicas and everything else to the primary.
	ProxySplit = "split"
	// ProxyPorts: HAProxy with a port for writes and one for reads.
	ProxyPorts = "ports"
)

// ProxyModes are all of them, the default first.
var ProxyModes = []string{ProxySplit, ProxyPorts}

const (
	// DefaultProxyPort is where applications look for a MySQL server.
	DefaultProxyPort = 3306
	// DefaultProxyReadPort is the next one.
	DefaultProxyReadPort = 3307
)

// MySQLProxy stands on each instance of a role between its application and a database role that it uses, at 127.0.0.1: the
// application knows one address, and a change of the primary is none of its business.
type MySQLProxy struct {
	Mode string `json:"mode"`
	// Role is the database role's id; "" for the only one among uses.
	Role     string `json:"role,omitempty"`
	Port     int    `json:"port"`                // of writes, and with ProxySplit of everything
	ReadPort int    `json:"read_port,omitempty"` // of reads, with ProxyPorts; else 0
}

// SetDefaults fills in what was left out.
func (p *MySQLProxy) SetDefaults() {
	if p.Mode == "" {
		p.Mode = ProxySplit
	}
	if p.Port == 0 {
		p.Port = DefaultProxyPort
	}
	if p.ReadPort == 0 && p.Mode == ProxyPorts {
		p.ReadPort = DefaultProxyReadPort
	}
}

// Database is the id of the role that the proxy leads to: the declared one, else the only one of uses that is a database, by what
// isDatabase knows.
func (p MySQLProxy) Database(uses []string, isDatabase func(id string) bool) (string, error) {
	if p.Role != "" {
		return p.Role, nil
	}
	var found []string
	for _, id := range uses {
		if isDatabase(id) {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("the role uses no database that a proxy could lead to")
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("the role uses several databases: %s", strings.Join(found, ", "))
}

func (p MySQLProxy) validate(c *checker, uses []string) {
	const at = "mysql_proxy."
	if !slices.Contains(ProxyModes, p.Mode) {
		c.wrong(at+"mode", fmt.Sprintf("%q is no mode of a proxy", p.Mode), `Write "split" for one address, or "ports" for one of writes and one of reads`)
	}
	c.port(at+"port", p.Port)
	c.port(at+"read_port", p.ReadPort)
	switch {
	case p.Mode == ProxySplit && p.ReadPort != 0:
		c.wrong(at+"read_port", "a splitting proxy has one port for everything", `Leave read_port out, or write mode = "ports"`)
	case p.ReadPort != 0 && p.ReadPort == p.Port:
		c.wrong(at+"read_port", fmt.Sprintf("port %d is that of writes already", p.Port), "Choose another one")
	}
	switch {
	case len(uses) == 0:
		c.wrong("mysql_proxy", "the role uses no database that a proxy could lead to", "Name the mysql role: uses = [farmhand_role.mysql.id]")
	case p.Role != "" && !slices.Contains(uses, p.Role):
		c.wrong(at+"role", fmt.Sprintf("role %s is not among those used", p.Role), "Name it in uses, too")
	}
}
