package state

import "github.com/farmhand/terraform-provider-farmhand/internal/spec"

// Topology is who serves now; agents render their configuration from it. Draining instances are already out.
type Topology struct {
	Farm  string                  `json:"farm"`
	Zone  string                  `json:"zone"`
	Roles map[string]RoleTopology `json:"roles"`
	// Names are the records declared in the farm's zone, where agents answer for it themselves (NamesSelf); else nil.
	Names []spec.DNSRecord `json:"names,omitempty"`
}

// RoleTopology is one role's part.
type RoleTopology struct {
	Behavior  string   `json:"behavior"`
	Instances []Member `json:"instances"` // running ones by index
	// Settings are the role's settings and HealthPath the path of its HTTP health check ("" for none): what the
	// instances of a role that uses this one need to know of it, since they cannot read its declaration.
	Settings   map[string]string `json:"settings,omitempty"`
	HealthPath string            `json:"health_path,omitempty"`
	// Term is that of the role's Database: it grows with every change of the primary.
	Term int64 `json:"term,omitempty"`
}

// Member is one serving instance.
type Member struct {
	Name    string `json:"name"`
	Index   int    `json:"index"`
	Address string `json:"address"`
	Primary bool   `json:"primary,omitempty"`
	// Reads: a replica whose lag is under the role's limit; it belongs in the pool that is read from.
	Reads bool `json:"reads,omitempty"`
}

// Assignment is what one instance is to be: everything its agent needs besides the topology. It holds no secret;
// those are read from SecretKey of the role itself and of the roles that it uses.
type Assignment struct {
	Farm        string            `json:"farm"`
	Zone        string            `json:"zone"`
	Role        spec.Role         `json:"role"`
	Index       int               `json:"index"`
	Address     string            `json:"address"`
	Token       string            `json:"token"`
	Nameserver  string            `json:"nameserver"`      // host:port of the farm's nameserver
	Names       string            `json:"names,omitempty"` // who answers for Zone: NamesNameserver, NamesSelf or NamesPlatform
	Application *spec.Application `json:"application,omitempty"`
	// Draining tells the agent that its instance is leaving: it fails its readiness and finishes what it has.
	Draining bool `json:"draining,omitempty"`
	// Backup is what of the role's backups this instance does now, nil for nothing.
	Backup *BackupTask `json:"backup,omitempty"`
	// Archive is set on the instance that stores the role's binary logs.
	Archive *Archive `json:"archive,omitempty"`
	// Measures are what policies ask this instance for, besides load and CPU; by key.
	Measures []Asked `json:"measures,omitempty"`
}

// Temporary tells of an instance that is there for one task; see Instance.Temporary.
func (a Assignment) Temporary() bool { return a.Index == 0 }
