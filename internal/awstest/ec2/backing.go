package ec2

// Machine is what a backing needs to know of an instance.
type Machine struct {
	ID       string
	Type     string
	Image    string
	Zone     string
	UserData string            // decoded
	Volumes  map[string]string // device name: volume id, the root volume not among them
}

// Backing makes instances real. Calls for one instance come one after the other; the world is not locked.
type Backing interface {
	// Bind is called once, before anything else.
	Bind(s *Service)
	// Start runs the machine and returns its private address. The instance is pending until then.
	Start(m Machine) (address string, err error)
	// Stop ends the machine and keeps its disks.
	Stop(m Machine)
	// Terminate removes the machine.
	Terminate(m Machine)
	Reboot(m Machine)
	// Attach and Detach make a volume's device appear in a machine that runs, or vanish from it.
	Attach(m Machine, volume, device string)
	Detach(m Machine, volume string)
	// Console is what the machine has printed.
	Console(m Machine) string
	// Close removes all that was made.
	Close()
}
