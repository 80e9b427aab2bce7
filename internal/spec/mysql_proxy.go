package spec

import (
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"
)

// Modes of a proxy to a database role.
const (
	// ProxySplit: one address, on which plain reads go to replicas and everything else to the primary.
	ProxySplit = "split"
	// ProxyPorts: HAProxy with a port for writes and one for reads.
	ProxyPorts = "ports"
	// ProxySQL: a ProxySQL of one's own on each instance, whose admin tables are kept in step.
	ProxySQL = "proxysql"
)

// ProxyModes are all of them, the default first.
var ProxyModes = []string{ProxySplit, ProxyPorts, ProxySQL}

const (
	// DefaultProxyPort is where applications look for a MySQL server.
	DefaultProxyPort = 3306
	// DefaultProxyReadPort is the next one.
	DefaultProxyReadPort = 3307
	// Defaults of ProxySQL, and hostgroups as its documentation has them.
	DefaultProxySQLPort      = 6033
	DefaultProxySQLAdminPort = 6032
	DefaultWriterHostgroup   = 10
	DefaultReaderHostgroup   = 20
)

// MySQLProxy stands on each instance of a role between its application and a database role that it uses, at 127.0.0.1: the
// application knows one address, and a change of the primary is none of its business.
type MySQLProxy struct {
	Mode string `json:"mode"`
	// Role is the database role's id; "" for the only one among uses.
	Role     string `json:"role,omitempty"`
	Port     int    `json:"port"`                // of writes, and with ProxySplit of everything
	ReadPort int    `json:"read_port,omitempty"` // of reads, with ProxyPorts; else 0

	// With ProxySQL; else 0 and "".
	AdminPort       int    `json:"admin_port,omitempty"`
	AdminFile       string `json:"admin_file,omitempty"` // option file on the instance with user and password; "": ProxySQL's own
	WriterHostgroup *int   `json:"writer_hostgroup,omitempty"`
	ReaderHostgroup *int   `json:"reader_hostgroup,omitempty"`
}

// SetDefaults fills in what was left out.
func (p *MySQLProxy) SetDefaults() {
	if p.Mode == "" {
		p.Mode = ProxySplit
	}
	if p.Mode == ProxySQL {
		p.proxySQLDefaults()
	}
	if p.Port == 0 {
		p.Port = DefaultProxyPort
	}
	if p.ReadPort == 0 && p.Mode == ProxyPorts {
		p.ReadPort = DefaultProxyReadPort
	}
}

func (p *MySQLProxy) proxySQLDefaults() {
	orDefault(&p.Port, DefaultProxySQLPort)
	orDefault(&p.AdminPort, DefaultProxySQLAdminPort)
	for to, group := range map[**int]int{&p.WriterHostgroup: DefaultWriterHostgroup, &p.ReaderHostgroup: DefaultReaderHostgroup} {
		if *to == nil {
			*to = &group
		}
	}
}

// Equal tells whether both say the same.
func (p MySQLProxy) Equal(o MySQLProxy) bool { return reflect.DeepEqual(p, o) }

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
		c.wrong(at+"mode", fmt.Sprintf("%q is no mode of a proxy", p.Mode), `Write "split" for one address, "ports" for one of writes and one of reads, or "proxysql" for a ProxySQL of your own`)
	}
	c.port(at+"port", p.Port)
	c.port(at+"read_port", p.ReadPort)
	p.validateProxySQL(c)
	switch {
	case p.Mode != ProxyPorts && p.ReadPort != 0:
		c.wrong(at+"read_port", "a proxy of mode "+p.Mode+" has one port for everything", `Leave read_port out, or write mode = "ports"`)
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

func (p MySQLProxy) validateProxySQL(c *checker) {
	const at = "mysql_proxy."
	if p.Mode != ProxySQL {
		for name, said := range map[string]bool{"admin_port": p.AdminPort != 0, "admin_defaults_file": p.AdminFile != "", "writer_hostgroup": p.WriterHostgroup != nil, "reader_hostgroup": p.ReaderHostgroup != nil} {
			if said {
				c.wrong(at+name, "only a ProxySQL has that", `Leave it out, or write mode = "proxysql"`)
			}
		}
		return
	}
	c.port(at+"admin_port", p.AdminPort)
	if p.AdminFile != "" && (!path.IsAbs(p.AdminFile) || path.Clean(p.AdminFile) != p.AdminFile) {
		c.wrong(at+"admin_defaults_file", fmt.Sprintf("%q is no path on a server", p.AdminFile), "Write an absolute one, such as /etc/farmhand/proxysql.cnf")
	}
	if p.WriterHostgroup != nil && p.ReaderHostgroup != nil {
		w, r := *p.WriterHostgroup, *p.ReaderHostgroup
		switch {
		case w < 0 || r < 0:
			c.wrong(at+"writer_hostgroup", "hostgroups count from 0", "Write the numbers that your rules name")
		case w == r:
			c.wrong(at+"reader_hostgroup", fmt.Sprintf("hostgroup %d is that of writes already", r), "Choose another one")
		}
	}
}
