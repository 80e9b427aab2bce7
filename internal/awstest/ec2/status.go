package ec2

import (
	"slices"
	"strconv"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

type describeStatus struct {
	paged
	InstanceId          []string
	IncludeAllInstances bool
	Filter              []wire.Filter
}

type check struct {
	Status  string
	Details []struct{ Name, Status string } `x:"details"`
}

type statusOut struct {
	InstanceId, AvailabilityZone string
	InstanceState                stateOut
	SystemStatus, InstanceStatus check
	Event                        []Event `x:"eventsSet"`
}

type statusesOut struct {
	Status    []statusOut `x:"instanceStatusSet"`
	NextToken string
}

func (s *Service) describeStatus(_ *wire.Context, in *describeStatus) (*statusesOut, error) {
	size, err := in.size(s.world, len(in.InstanceId), 5, 1000)
	if err != nil {
		return nil, err
	}
	if _, err := s.find(in.InstanceId); err != nil {
		return nil, err
	}
	if _, err := wire.Pass(in.Filter, nil, func(name string) ([]string, bool) { return statusField(&Instance{}, name) }); err != nil {
		return nil, err
	}
	s.settleAll()
	var all []*Instance
	for _, i := range s.sorted() {
		if !s.listed(i) || i.State != "running" && !in.IncludeAllInstances || len(in.InstanceId) > 0 && !slices.Contains(in.InstanceId, i.ID) {
			continue
		}
		ok, err := wire.Pass(in.Filter, s.tags[i.ID], func(name string) ([]string, bool) { return statusField(i, name) })
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, i)
		}
	}
	page, next, werr := wire.Page(all, func(i *Instance) string { return i.serial }, "status", in.NextToken, size)
	if werr != nil {
		return nil, werr
	}
	out := &statusesOut{NextToken: next}
	for _, i := range page {
		o := statusOut{InstanceId: i.ID, AvailabilityZone: i.Zone, InstanceState: stateOut{codes[i.State], i.State}, Event: i.Events}
		o.SystemStatus.Status, o.InstanceStatus.Status = i.SystemStatus, i.InstanceStatus
		if i.State != "running" {
			o.SystemStatus.Status, o.InstanceStatus.Status = "not-applicable", "not-applicable"
		}
		out.Status = append(out.Status, o)
	}
	return out, nil
}

// statusField is a value of an instance by the name of one of DescribeInstanceStatus' filters.
func statusField(i *Instance, name string) ([]string, bool) {
	var codesOf, ids, notBefore []string
	for _, e := range i.Events {
		codesOf, ids = append(codesOf, e.Code), append(ids, e.InstanceEventId)
		notBefore = append(notBefore, e.NotBefore.UTC().Format("2006-01-02T15:04:05.000Z"))
	}
	switch name {
	case "event.code":
		return codesOf, true
	case "event.instance-event-id":
		return ids, true
	case "event.not-before":
		return notBefore, true
	}
	return pick(name, map[string]string{"availability-zone": i.Zone, "instance-state-name": i.State, "instance-state-code": strconv.Itoa(codes[i.State]),
		"system-status.status": i.SystemStatus, "instance-status.status": i.InstanceStatus})
}
