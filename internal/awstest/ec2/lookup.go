package ec2

import "github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"

// What other services ask of EC2. The world is locked by whoever calls.

// Lookup finds an instance in the state that it has by now.
func (s *Service) Lookup(id string) (Instance, bool) {
	i, ok := s.instances[id]
	if !ok {
		return Instance{}, false
	}
	s.settle(i)
	return *i, true
}

// LaunchFrom launches one instance from a launch template in a subnet, for Auto Scaling. Version is as in a request.
func (s *Service) LaunchFrom(id, name, version, subnet string, tags map[string]string) (string, error) {
	spec, used, err := s.merged(&templateRef{id, name, version}, launchSpec{})
	if err != nil {
		return "", err
	}
	if len(spec.NetworkInterface) > 0 {
		n := append([]networkInterface(nil), spec.NetworkInterface...)
		n[0].SubnetId = subnet
		spec.NetworkInterface = n
	}
	p, err := s.check(spec, subnet)
	if err != nil {
		return "", err
	}
	if e := s.shortage(p); e != nil {
		return "", e
	}
	p.template = used
	for k, v := range tags {
		p.template = append(p.template, Tag{k, v})
	}
	return s.make(p, 1, "")[0].ID, nil
}

// End terminates an instance, for Auto Scaling; unknown ones are ended already.
func (s *Service) End(id string) {
	if i, ok := s.instances[id]; ok {
		s.halt(i, "Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown", true)
	}
}

// Template finds a launch template's id, name and the number of a version.
func (s *Service) Template(id, name, version string) (templateID, templateName, number string, err error) {
	t, err := s.template(id, name)
	if err != nil {
		return "", "", "", err
	}
	v, err := t.version(version)
	if err != nil {
		return "", "", "", err
	}
	return t.LaunchTemplateId, t.LaunchTemplateName, itoa(v.VersionNumber), nil
}

// ZoneOf is the availability zone of a subnet.
func (s *Service) ZoneOf(subnet string) (string, error) {
	n, err := s.subnet(subnet)
	if err != nil {
		return "", err
	}
	return n.AvailabilityZone, nil
}

var _ wire.Service = (*Service)(nil)
