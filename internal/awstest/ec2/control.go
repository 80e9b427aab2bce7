package ec2

// What a test may do to EC2. All of it may be called concurrently with requests.

import (
	"maps"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

// NoCapacity says whether EC2 has no room for a type in a zone on a market; "" stands for any. Markets are "on-demand"
// and "spot".
func (s *Service) NoCapacity(instanceType, zone, market string, on bool) {
	s.world.Lock()
	defer s.world.Unlock()
	p := pool{instanceType, zone, market}
	if on {
		s.noCapacity[p] = true
	} else {
		delete(s.noCapacity, p)
	}
}

// Quota is the most instances that the account may run, of either market; negative is no limit.
func (s *Service) Quota(instances int) {
	s.world.Lock()
	defer s.world.Unlock()
	s.quota = instances
}

// Crash ends an instance as a shutdown from inside does: stopped, or terminated where its shutdown behavior says so.
func (s *Service) Crash(instance string) {
	s.with(instance, func(i *Instance) {
		s.halt(i, "Client.InstanceInitiatedShutdown", "Client.InstanceInitiatedShutdown: Instance initiated shutdown", i.ShutdownBehavior == "terminate")
	})
}

// Stop ends an instance as a failed host does: it is stopped, by AWS, and does not come back by itself.
func (s *Service) Stop(instance string) {
	s.with(instance, func(i *Instance) {
		s.halt(i, "Server.InternalError", "Server.InternalError: Internal error on launch", false)
	})
}

// Terminate ends an instance behind everybody's back, as a person at the console does.
func (s *Service) Terminate(instance string) {
	s.with(instance, func(i *Instance) {
		s.halt(i, "Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown", true)
	})
}

// Reboot restarts an instance, as a person at the console does. It stays running for EC2.
func (s *Service) Reboot(instance string) {
	s.with(instance, func(i *Instance) {
		if s.backing != nil {
			go s.backing.Reboot(i.Machine())
		}
	})
}

// Interrupt announces that a Spot instance is taken back at a time: its metadata says so. Ending it is the test's part.
func (s *Service) Interrupt(instance string, at time.Time) {
	s.with(instance, func(i *Instance) { i.Interruption = at })
}

// Rebalance recommends to replace a Spot instance: its metadata says so.
func (s *Service) Rebalance(instance string, at time.Time) {
	s.with(instance, func(i *Instance) { i.Rebalance = at })
}

// Retire schedules an event of an instance: "instance-retirement", "instance-stop", "system-reboot",
// "instance-reboot" or "system-maintenance".
func (s *Service) Retire(instance, code string, notBefore time.Time) {
	s.with(instance, func(i *Instance) {
		i.Events = append(i.Events, Event{
			InstanceEventId: s.world.ID("instance-event"), Code: code, NotBefore: notBefore,
			Description: "The instance is running on degraded hardware",
		})
	})
}

// Impair sets what an instance's status checks say: "ok", "impaired", "initializing", "insufficient-data".
func (s *Service) Impair(instance, systemStatus, instanceStatus string) {
	s.with(instance, func(i *Instance) { i.SystemStatus, i.InstanceStatus = systemStatus, instanceStatus })
}

// BreakSnapshot makes a snapshot one that EBS gave up.
func (s *Service) BreakSnapshot(id, why string) {
	s.world.Lock()
	defer s.world.Unlock()
	n, ok := s.snapshots[id]
	if !ok {
		panic("awstest: no snapshot " + id)
	}
	n.broken = why
}

// Console sets what GetConsoleOutput says.
func (s *Service) Console(instance, text string) {
	s.with(instance, func(i *Instance) { i.Console = text })
}

// with calls do for an instance, with the world locked; an unknown id is the test's mistake.
func (s *Service) with(instance string, do func(i *Instance)) {
	s.world.Lock()
	defer s.world.Unlock()
	i, ok := s.instances[instance]
	if !ok {
		panic("awstest: no instance " + instance)
	}
	s.settle(i)
	do(i)
}

// Instances are copies of all instances, ended ones included, in order of their launch.
func (s *Service) Instances() []Instance {
	s.world.Lock()
	defer s.world.Unlock()
	var all []Instance
	for _, i := range s.sorted() {
		s.settle(i)
		c := *i
		all = append(all, c)
	}
	return all
}

// Tags are those of a thing of any kind, by its id.
func (s *Service) Tags(id string) map[string]string {
	s.world.Lock()
	defer s.world.Unlock()
	return maps.Clone(s.tags[id])
}

// Alive are ids of the instances that are pending or running, in order of their launch.
func (s *Service) Alive() []string {
	var ids []string
	for _, i := range s.Instances() {
		if i.State == "pending" || i.State == "running" {
			ids = append(ids, i.ID)
		}
	}
	return ids
}

var _ wire.Service = (*Service)(nil)
