package spec

// Role is a template of like servers and the envelope that their number stays in.
type Role struct {
	Farm     string `json:"farm"`
	Name     string `json:"name"`     // DNS label
	Behavior string `json:"behavior"` // a registered behavior: haproxy, apache, mysql, memcached, base
	Min      int    `json:"min"`
	Max      int    `json:"max"`

	Image       string            `json:"image,omitempty"`       // platform image; empty: the farm's
	Application string            `json:"application,omitempty"` // id of a farmhand_application
	BootScript  string            `json:"boot_script,omitempty"` // runs as root after the behavior is set up and before it counts as serving; non-zero exit fails the boot
	Environment map[string]string `json:"environment,omitempty"` // for scripts and the application
	// Secrets names the environment variables whose values stand under state.SecretKey, never here.
	Secrets []string `json:"secrets,omitempty"`
	// SecretsVersion counts up when a secret value changes, so that a change is a new generation.
	SecretsVersion int64 `json:"secrets_version,omitempty"`

	// Uses are roles of the same farm (ids) whose addresses and credentials this role's instances are given:
	// the servers that haproxy balances over, the mysql and memcached that an application talks to.
	Uses []string `json:"uses,omitempty"`

	// Settings of the behavior, by its own names (memory_mb, database, ...). Validated by the behavior.
	Settings map[string]string `json:"settings,omitempty"`

	// AWS is where and as what this role's instances run on EC2; nil on other platforms, or for the farm's defaults.
	AWS *RoleAWS `json:"aws,omitempty"`

	// MySQLProxy is the proxy to a database role on each instance; nil for none.
	MySQLProxy *MySQLProxy `json:"mysql_proxy,omitempty"`

	// Backup is how a database role is backed up; nil for not at all.
	Backup *Backup `json:"backup,omitempty"`

	HealthCheck HealthCheck `json:"health_check"`
	Volume      *Volume     `json:"volume,omitempty"`

	Drain         Duration `json:"drain"`          // from leaving DNS and balancers to termination
	LaunchTimeout Duration `json:"launch_timeout"` // from the platform's call to serving
	ScaleIn       string   `json:"scale_in"`       // victim order, one of ScaleInOrders
	// ShutdownHook is a script that each serving instance runs every few seconds. Exit status 0: the instance may leave;
	// any other: it is not chosen to, unless it is sick or its role ends. It is no part of the generation.
	ShutdownHook string `json:"shutdown_hook,omitempty"`
	// ShutdownHookTimeout is how long the hook may say so without a break until it is overruled. 0 in what older versions
	// stored: DefaultShutdownHookTimeout.
	ShutdownHookTimeout Duration `json:"shutdown_hook_timeout,omitempty"`
	// ReversalsPerHour is the flap budget: how often within an hour the policies may turn the role's direction. The
	// last one is kept for growing. 0 in what older versions stored: DefaultReversals.
	ReversalsPerHour int `json:"reversals_per_hour,omitempty"`
}

// ID is the role's id, "farm/role".
func (r Role) ID() string { return r.Farm + "/" + r.Name }

// HealthCheck is asked by the agent on its own instance, beside the behavior's own check.
type HealthCheck struct {
	HTTP *HTTPCheck `json:"http,omitempty"`
	TCP  *TCPCheck  `json:"tcp,omitempty"`

	Interval       Duration `json:"interval"`
	Timeout        Duration `json:"timeout"`
	UnhealthyAfter int      `json:"unhealthy_after"` // consecutive failures
	Grace          Duration `json:"grace"`           // after it first served, failures do not count for so long
	// SilentAfter is how long an agent may say nothing before its instance counts as lost.
	SilentAfter Duration `json:"silent_after"`
}

// HTTPCheck passes on a status of 200 to 399.
type HTTPCheck struct {
	Path string `json:"path"`
	Port int    `json:"port"` // 0: the behavior's
}

// TCPCheck passes when a connection opens.
type TCPCheck struct {
	Port int `json:"port"` // 0: the behavior's
}

// Volume is data that belongs to the role's index, not to the instance.
type Volume struct {
	Path      string `json:"path"`       // where it is mounted
	OnDestroy string `json:"on_destroy"` // "delete" or "keep"

	// The rest holds where volumes are disks (EC2). 0 and "" stand for the platform's defaults.
	SizeGB     int    `json:"size_gb,omitempty"`
	MaxSizeGB  int    `json:"max_size_gb,omitempty"` // up to which a volume that is nearly full grows; 0: it does not
	Type       string `json:"type,omitempty"`        // "gp3", "io2", ...
	IOPS       int    `json:"iops,omitempty"`
	Throughput int    `json:"throughput,omitempty"` // MiB/s
	KMSKey     string `json:"kms_key,omitempty"`    // volumes are always encrypted; empty: the account's default key
}
