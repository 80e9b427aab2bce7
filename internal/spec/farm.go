package spec

// Farm is a named set of roles on one platform, kept by one sidecar.
type Farm struct {
	Name    string `json:"name"`    // unique in a store; DNS label
	Sidecar string `json:"sidecar"` // id of the farmhand_sidecar that keeps it
	Zone    string `json:"zone"`    // DNS zone without trailing dot, such as shop.internal

	// Exactly one platform is set.
	Docker    *Docker    `json:"docker,omitempty"`
	Simulated *Simulated `json:"simulated,omitempty"`
	AWS       *AWS       `json:"aws,omitempty"`

	// Tick is how often the sidecar looks when nothing calls it earlier.
	Tick Duration `json:"tick"`
}

// Platform names the platform that is set: "docker", "simulated" or "aws".
func (f Farm) Platform() string {
	switch {
	case f.Docker != nil:
		return "docker"
	case f.Simulated != nil:
		return "simulated"
	case f.AWS != nil:
		return "aws"
	}
	return ""
}

// Docker says where containers run.
type Docker struct {
	Subnet string `json:"subnet"`         // IPv4 CIDR of the farm's own bridge network
	Image  string `json:"image"`          // image of roles that name none
	Host   string `json:"host,omitempty"` // engine's address (unix:///run/podman/podman.sock); empty: DOCKER_HOST, else the usual sockets
}

// Simulated is a farm of virtual instances: no processes, a load model, faults on request.
type Simulated struct {
	BootTime Duration `json:"boot_time"` // from launch to serving
	Subnet   string   `json:"subnet"`    // addresses that instances pretend to have
	// FailLaunches is the share (0..1) of launches that fail to boot, drawn with Seed.
	FailLaunches float64 `json:"fail_launches,omitempty"`
	Seed         int64   `json:"seed,omitempty"`
}
