package ec2

import (
	"net/netip"
	"sort"
	"time"
)

// Instance is one instance as EC2 knows it.
type Instance struct {
	ID, Reservation, Token, Type, Image, Architecture string
	Zone, Subnet, Address, Public                     string
	Key, ProfileName, ProfileARN, UserData            string
	Groups                                            []string
	Spot                                              bool
	State                                             string // "pending", "running", "shutting-down", "terminated", "stopping", "stopped"
	Launched                                          time.Time
	Since                                             time.Time // of the state
	ReasonCode, Reason                                string
	ShutdownBehavior                                  string // "stop", "terminate"
	Metadata                                          MetadataOptions
	Protected                                         bool // against termination
	SystemStatus, InstanceStatus                      string
	Events                                            []Event
	Interruption, Rebalance                           time.Time // announced to a Spot instance; zero for not
	Console                                           string
	Index                                             int // in its reservation

	serial    string
	public    bool              // gets a public address
	devices   map[string]string // device name: volume id
	root      string            // root device name
	monitored bool
	busy      bool // the backing has not done yet
	requestID string
}

// Event is something scheduled for an instance.
type Event struct {
	InstanceEventId, Code, Description string
	NotBefore, NotAfter                time.Time
}

// MetadataOptions are how an instance's metadata may be read.
type MetadataOptions struct {
	State                   string
	HttpTokens              string
	HttpPutResponseHopLimit int
	HttpEndpoint            string
	HttpProtocolIpv6        string
	InstanceMetadataTags    string
}

// codes are the numbers of instance states.
var codes = map[string]int{"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}

// forgotten is how long a terminated instance is listed; EC2 says "a short while", and keeps them for about an hour.
const forgotten = time.Hour

// settle moves an instance to the state that it has by now.
func (s *Service) settle(i *Instance) {
	now := s.world.Now()
	switch i.State {
	case "pending":
		if at := i.Since.Add(s.options.StartDelay); !i.busy && !now.Before(at) {
			s.running(i, at)
		}
	case "shutting-down":
		if at := i.Since.Add(s.options.StopDelay); !i.busy && !now.Before(at) {
			i.State, i.Since = "terminated", at
			s.release(i)
		}
	case "stopping":
		if at := i.Since.Add(s.options.StopDelay); !i.busy && !now.Before(at) {
			i.State, i.Since = "stopped", at
		}
	case "terminated":
		if now.Sub(i.Since) > forgotten {
			delete(s.instances, i.ID)
			delete(s.tags, i.ID)
		}
	}
}

func (s *Service) settleAll() {
	for _, i := range s.instances {
		s.settle(i)
	}
}

func (s *Service) running(i *Instance, at time.Time) {
	i.State, i.Since = "running", at
	if i.public {
		b := netip.MustParseAddr(i.Address).As4()
		i.Public = netip.AddrFrom4([4]byte{203, 0, 113, b[3]}).String()
	}
}

// release gives back what a terminated instance had.
func (s *Service) release(i *Instance) {
	for device, id := range i.devices {
		v := s.volumes[id]
		if v == nil {
			continue
		}
		if v.attached.DeleteOnTermination {
			delete(s.volumes, id)
			delete(s.tags, id)
			continue
		}
		v.attached = nil
		delete(i.devices, device)
	}
	for _, a := range s.addresses {
		if a.InstanceId == i.ID {
			a.free()
		}
	}
}

// halt begins the end of a run: to terminated, or to stopped.
func (s *Service) halt(i *Instance, code, reason string, terminate bool) {
	switch {
	case i.State == "terminated" || i.State == "shutting-down":
		return
	case !terminate && i.State == "stopped", !terminate && i.State == "stopping":
		return
	}
	wasStopped := i.State == "stopped"
	i.State, i.Since, i.Public, i.ReasonCode, i.Reason = "stopping", s.world.Now(), "", code, reason
	if terminate {
		i.State = "shutting-down"
		if wasStopped {
			i.Since = i.Since.Add(-s.options.StopDelay)
		}
	}
	if s.backing != nil {
		m := i.Machine()
		s.inBackground(i, func() {
			if terminate {
				s.backing.Terminate(m)
			} else {
				s.backing.Stop(m)
			}
		}, nil)
	}
	s.settle(i)
}

// start begins a run.
func (s *Service) start(i *Instance) {
	i.State, i.Since, i.ReasonCode, i.Reason = "pending", s.world.Now(), "", ""
	if s.backing != nil {
		m := i.Machine()
		var address string
		var err error
		s.inBackground(i, func() { address, err = s.backing.Start(m) }, func() {
			if err != nil {
				i.Console += err.Error() + "\n"
				if i.State == "pending" {
					s.halt(i, "Server.InternalError", "Server.InternalError: "+err.Error(), true)
				}
				return
			}
			i.Address = address
		})
	}
	s.settle(i)
}

// inBackground calls the backing without the lock, then after with it. Calls for one instance wait for each other.
func (s *Service) inBackground(i *Instance, call, after func()) {
	i.busy = true
	previous := s.queue[i.ID]
	mine := make(chan struct{})
	s.queue[i.ID] = mine
	go func() {
		defer close(mine)
		if previous != nil {
			<-previous
		}
		call()
		s.world.Lock()
		defer s.world.Unlock()
		if s.queue[i.ID] == mine {
			i.busy = false
		}
		if after != nil {
			after()
		}
		s.settle(i)
	}()
}

// Machine is what a backing is told.
func (i *Instance) Machine() Machine {
	m := Machine{ID: i.ID, Type: i.Type, Image: i.Image, Zone: i.Zone, UserData: i.UserData, Volumes: map[string]string{}}
	for device, id := range i.devices {
		if device != i.root {
			m.Volumes[device] = id
		}
	}
	return m
}

// sorted are the instances in order of their launch.
func (s *Service) sorted() []*Instance {
	all := make([]*Instance, 0, len(s.instances))
	for _, i := range s.instances {
		all = append(all, i)
	}
	sort.Slice(all, func(a, b int) bool { return all[a].serial < all[b].serial })
	return all
}

// listed tells whether Describe calls know of an instance by now.
func (s *Service) listed(i *Instance) bool {
	return !s.world.Now().Before(i.Launched.Add(s.options.ListLag))
}
