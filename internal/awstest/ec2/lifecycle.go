package ec2

import (
	"encoding/base64"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

type (
	instanceIDs struct {
		InstanceId []string `q:",required"`
	}
	terminateIDs struct {
		InstanceId     []string `q:",required"`
		Force          bool
		SkipOsShutdown bool
	}
	stopIDs struct {
		InstanceId     []string `q:",required"`
		Force          bool
		Hibernate      bool
		SkipOsShutdown bool
	}
	startIDs struct {
		InstanceId     []string `q:",required"`
		AdditionalInfo string
	}
	change struct {
		InstanceId    string
		CurrentState  stateOut
		PreviousState stateOut
	}
	changesOut struct {
		Change []change `x:"instancesSet"`
	}
	consoleIn struct {
		InstanceId string `q:",required"`
		Latest     bool
	}
	consoleOut struct {
		InstanceId string
		Timestamp  time.Time
		Output     string
	}
	modifyInstance struct {
		InstanceId                        string `q:",required"`
		DisableApiTermination             *struct{ Value bool }
		InstanceInitiatedShutdownBehavior *struct{ Value string }
		InstanceType                      *struct{ Value string }
		GroupId                           []string
	}
)

// changed runs do for each instance, and tells the states before and after.
func (s *Service) changed(found []*Instance, do func(i *Instance)) *changesOut {
	out := &changesOut{}
	for _, i := range found {
		c := change{InstanceId: i.ID, PreviousState: stateOut{codes[i.State], i.State}}
		do(i)
		c.CurrentState = stateOut{codes[i.State], i.State}
		out.Change = append(out.Change, c)
	}
	return out
}

func (s *Service) terminateInstances(c *wire.Context, in *terminateIDs) (*changesOut, error) {
	found, err := s.find(in.InstanceId)
	if err != nil {
		return nil, err
	}
	for _, i := range found {
		if i.Protected {
			return nil, wire.Errorf("OperationNotPermitted", "The instance '%s' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.", i.ID)
		}
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	return s.changed(found, func(i *Instance) {
		s.halt(i, "Client.UserInitiatedShutdown", "User initiated ("+s.world.Now().UTC().Format("2006-01-02 15:04:05 GMT")+")", true)
	}), nil
}

func (s *Service) stopInstances(c *wire.Context, in *stopIDs) (*changesOut, error) {
	found, err := s.find(in.InstanceId)
	if err != nil {
		return nil, err
	}
	for _, i := range found {
		if i.State == "terminated" || i.State == "shutting-down" || i.State == "pending" {
			return nil, wire.Errorf("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be stopped.", i.ID)
		}
		if i.Spot {
			return nil, wire.Errorf("UnsupportedOperation", "You can't stop the Spot Instance '%s' because it is associated with a one-time Spot Instance request. You can only stop Spot Instances associated with persistent Spot Instance requests.", i.ID)
		}
	}
	if in.Hibernate {
		return nil, wire.Errorf("UnsupportedHibernationConfiguration", "The following instance(s) are not configured for hibernation: %s", in.InstanceId[0])
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	return s.changed(found, func(i *Instance) {
		s.halt(i, "Client.UserInitiatedShutdown", "User initiated ("+s.world.Now().UTC().Format("2006-01-02 15:04:05 GMT")+")", false)
	}), nil
}

func (s *Service) startInstances(c *wire.Context, in *startIDs) (*changesOut, error) {
	found, err := s.find(in.InstanceId)
	if err != nil {
		return nil, err
	}
	for _, i := range found {
		if i.State != "stopped" && i.State != "running" && i.State != "pending" {
			return nil, wire.Errorf("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be started.", i.ID)
		}
		if i.State == "stopped" {
			n, err := s.subnet(i.Subnet)
			if err != nil {
				return nil, err
			}
			if e := s.shortage(&plan{kind: Type{Name: i.Type}, subnet: n, spot: i.Spot}); e != nil {
				return nil, e
			}
		}
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	return s.changed(found, func(i *Instance) {
		if i.State == "stopped" {
			i.Launched = s.world.Now().Add(-s.options.ListLag)
			s.start(i)
		}
	}), nil
}

func (s *Service) rebootInstances(c *wire.Context, in *instanceIDs) (*done, error) {
	found, err := s.find(in.InstanceId)
	if err != nil {
		return nil, err
	}
	for _, i := range found {
		if i.State != "running" {
			return nil, wire.Errorf("IncorrectState", "The instance '%s' is not in the 'running' state.", i.ID)
		}
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	if s.backing != nil {
		for _, i := range found {
			m := i.Machine()
			s.inBackground(i, func() { s.backing.Reboot(m) }, nil)
		}
	}
	return yes, nil
}

func (s *Service) consoleOutput(_ *wire.Context, in *consoleIn) (*consoleOut, error) {
	found, err := s.find([]string{in.InstanceId})
	if err != nil {
		return nil, err
	}
	text := found[0].Console
	if s.backing != nil {
		m := found[0].Machine()
		s.world.Unlock()
		text = s.backing.Console(m) + text
		s.world.Lock()
	}
	return &consoleOut{in.InstanceId, s.world.Now(), base64.StdEncoding.EncodeToString([]byte(text))}, nil
}

func (s *Service) modifyInstance(c *wire.Context, in *modifyInstance) (*done, error) {
	found, err := s.find([]string{in.InstanceId})
	if err != nil {
		return nil, err
	}
	i := found[0]
	if in.InstanceType != nil && i.State != "stopped" {
		return nil, wire.Errorf("IncorrectInstanceState", "The instance '%s' is not in the 'stopped' state.", i.ID)
	}
	for _, id := range in.GroupId {
		if _, err := s.groupOf(id); err != nil {
			return nil, err
		}
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	if in.DisableApiTermination != nil {
		i.Protected = in.DisableApiTermination.Value
	}
	if in.InstanceInitiatedShutdownBehavior != nil {
		i.ShutdownBehavior = in.InstanceInitiatedShutdownBehavior.Value
	}
	if in.InstanceType != nil {
		i.Type = in.InstanceType.Value
	}
	if len(in.GroupId) > 0 {
		i.Groups = in.GroupId
	}
	return yes, nil
}
