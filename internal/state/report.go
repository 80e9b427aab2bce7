package state

import "time"

// Report is what an agent says of its instance, every few seconds and at once when its health changes.
type Report struct {
	Instance string    `json:"instance"`
	Token    string    `json:"token"` // of the Instance record: a report of an index's former holder is not this one's
	At       time.Time `json:"at"`
	Version  string    `json:"version"` // of the agent

	Boot    Boot     `json:"boot"`
	Checks  []Check  `json:"checks,omitempty"`
	Samples []Sample `json:"samples,omitempty"` // oldest first, the last minute or two

	// Unmeasured says, by the keys of the assignment's Measures, why the last try gave no value.
	Unmeasured map[string]string `json:"unmeasured,omitempty"`

	// Wait is set while the role's shutdown hook says that the instance is not to leave now, or has not answered yet.
	Wait *Wait `json:"wait,omitempty"`

	// Notices are ends that the platform announces on the machine itself (Spot, rebalance).
	Notices []Notice `json:"notices,omitempty"`
	// Rebooting is since when the machine reboots, by its own clock: an agent that is told to stop for that says so, and says
	// it again from its start until its instance serves. Silence is expected meanwhile. Zero: it does not.
	Rebooting time.Time `json:"rebooting,omitzero"`
	// Warm is set by an agent of a machine in stock: it is set up and may be stopped.
	Warm bool `json:"warm,omitempty"`
	// VolumeUsed is how full the file system of its data volume is, 0..1; 0 where it has no disk of its own.
	VolumeUsed float64 `json:"volume_used,omitempty"`
	// Database is how the server stands, of roles whose behavior is a database.
	Database *DatabaseReport `json:"database,omitempty"`
	// Backup is how a backup, drill or restore on this instance stands, and how far its binary logs are stored.
	Backup *BackupReport `json:"backup,omitempty"`

	// Applied is the store revision of the topology that the behavior last took over, and
	// ApplyError why a later one was refused (it goes on serving on the former).
	Applied    int64  `json:"applied"`
	ApplyError string `json:"apply_error,omitempty"`
}

// Boot is how far setting up has come.
type Boot struct {
	Step   string   `json:"step"` // what it does now, or failed at
	Done   bool     `json:"done"`
	Failed string   `json:"failed,omitempty"` // the cause; final
	Log    []string `json:"log,omitempty"`    // last lines printed
}

// Notice is an announced end of a machine.
type Notice struct {
	Kind   string    `json:"kind"` // as platform.Notice.Kind
	Before time.Time `json:"before,omitzero"`
	Text   string    `json:"text,omitempty"`
}

// Wait is a shutdown hook's wish to stay.
type Wait struct {
	Reason string    `json:"reason"` // the last line that it printed, or what went wrong with it
	Since  time.Time `json:"since"`  // it has said so without a break; by the instance's clock, as Report.At
}

// Check is a health check's present state.
type Check struct {
	Name     string    `json:"name"` // "behavior", "http", "tcp"
	OK       bool      `json:"ok"`   // passes: unhealthy_after not reached
	Failures int       `json:"failures"`
	Since    time.Time `json:"since"` // of OK's last change
	Message  string    `json:"message,omitempty"`
}

// Sample is one measurement on an instance.
type Sample struct {
	At     time.Time `json:"at"`
	Load1  float64   `json:"load1"`
	Load5  float64   `json:"load5"`
	Load15 float64   `json:"load15"`
	CPU    float64   `json:"cpu"` // share of the instance's cores in use since the former sample, 0..1
	// Values are what the assignment's Measures ask for besides, by their keys; what could not be measured is missing.
	Values map[string]float64 `json:"v,omitempty"`
}

// Serving tells whether the boot is done and every check passes.
func (r Report) Serving() bool {
	if !r.Boot.Done || r.Boot.Failed != "" {
		return false
	}
	for _, c := range r.Checks {
		if !c.OK {
			return false
		}
	}
	return true
}
