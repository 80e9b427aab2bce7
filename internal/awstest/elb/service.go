// Package elb answers for Elastic Load Balancing v2: target groups, what is registered in them, and its health. Nothing
// is balanced: a target's health is what the test says, or what a real HTTP request to it finds.
package elb

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/ec2"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

// Service is Elastic Load Balancing v2.
type Service struct {
	*wire.Query
	world  *wire.World
	ec2    *ec2.Service
	groups map[string]*Group
	probe  bool
}

// Group is a target group.
type Group struct {
	ARN, Name, Protocol, VPC, Path string
	Port                           int
	Type                           string // "instance" or "ip"
	DeregistrationDelay            time.Duration
	InitialDelay                   time.Duration // a target is "initial" for so long

	targets map[string]*target // by id:port
	tags    map[string]string
	serial  string
	unused  bool // no load balancer uses the group
}

type target struct {
	id         string
	port       int
	zone       string
	since      time.Time
	draining   time.Time // zero: registered
	state, why string    // set by a test
}

// TargetGroup is the group that every stand-in has: type instance, HTTP on port 80, "/" asked.
func TargetGroup(region, account string) string {
	return fmt.Sprintf("arn:aws:elasticloadbalancing:%s:%s:targetgroup/web/0123456789abcdef", region, account)
}

// New returns the service with one target group, named "web".
func New(w *wire.World, instances *ec2.Service) *Service {
	s := &Service{
		Query: &wire.Query{World: w, Version: "2015-12-01", Namespace: "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/", Style: wire.Member},
		world: w, ec2: instances, groups: map[string]*Group{},
	}
	s.add("web", TargetGroup(w.Region, w.Account))
	s.register()
	return s
}

func (s *Service) add(name, arn string) *Group {
	g := &Group{ARN: arn, Name: name, Protocol: "HTTP", Port: 80, VPC: ec2.VPC, Path: "/", Type: "instance", DeregistrationDelay: 300 * time.Second,
		targets: map[string]*target{}, tags: map[string]string{}, serial: s.world.Serial()}
	s.groups[arn] = g
	return g
}

// AddGroup adds a target group of type instance, HTTP on port 80, and returns its ARN; change sets it up otherwise, or is nil.
func (s *Service) AddGroup(name string, change func(g *Group)) string {
	s.world.Lock()
	defer s.world.Unlock()
	g := s.add(name, s.world.ARN("elasticloadbalancing", s.world.Region, "targetgroup/"+name+"/"+strings.ToLower(s.world.Letters(16))))
	if change != nil {
		change(g)
	}
	return g.ARN
}

// Configure changes a target group.
func (s *Service) Configure(arn string, change func(g *Group)) {
	s.world.Lock()
	defer s.world.Unlock()
	change(s.groups[arn])
}

// SetHealth says what the balancer thinks of a target: "healthy", "unhealthy" (with a reason such as
// "Target.ResponseCodeMismatch"), "initial", or "" for what follows by itself.
func (s *Service) SetHealth(arn, id, state, reason string) {
	s.world.Lock()
	defer s.world.Unlock()
	for _, t := range s.groups[arn].targets {
		if t.id == id {
			t.state, t.why = state, reason
		}
	}
}

// Unused says that no load balancer uses the group: its targets' state is "unused".
func (s *Service) Unused(arn string, on bool) { s.Configure(arn, func(g *Group) { g.unused = on }) }

// Probe makes health a matter of real HTTP requests to the instances' addresses.
func (s *Service) Probe(on bool) {
	s.world.Lock()
	defer s.world.Unlock()
	s.probe = on
}

// Targets are the ids registered in a group and not draining, sorted.
func (s *Service) Targets(arn string) []string {
	s.world.Lock()
	defer s.world.Unlock()
	var ids []string
	for _, t := range s.groups[arn].targets {
		if t.draining.IsZero() {
			ids = append(ids, t.id)
		}
	}
	slices.Sort(ids)
	return ids
}

// settle forgets targets that have drained, and those whose instance has ended.
func (s *Service) settle(g *Group) {
	for key, t := range g.targets {
		if !t.draining.IsZero() && !s.world.Now().Before(t.draining.Add(g.DeregistrationDelay)) {
			delete(g.targets, key)
			continue
		}
		if g.Type == "instance" {
			if i, ok := s.ec2.Lookup(t.id); !ok || i.State == "terminated" {
				delete(g.targets, key)
			}
		}
	}
}

// health is a target's state, reason and description, in the order in which the balancer looks.
func (s *Service) health(g *Group, t *target) (state, reason, description string) {
	if !t.draining.IsZero() {
		return "draining", "Target.DeregistrationInProgress", "Target deregistration is in progress"
	}
	address := t.id
	if g.Type == "instance" {
		i, _ := s.ec2.Lookup(t.id)
		address = i.Address
		if i.State != "running" {
			return "unused", "Target.InvalidState", "Target is in the stopped state"
		}
	}
	switch {
	case g.unused:
		return "unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer"
	case t.state == "healthy":
		return "healthy", "", ""
	case t.state != "":
		return t.state, t.why, ""
	case s.world.Now().Before(t.since.Add(g.InitialDelay)):
		return "initial", "Elb.RegistrationInProgress", "Target registration is in progress"
	case s.probe:
		return probe(address, t.port, g.Path)
	}
	return "healthy", "", ""
}

func probe(address string, port int, path string) (state, reason, description string) {
	c := http.Client{Timeout: 2 * time.Second}
	r, err := c.Get("http://" + address + ":" + strconv.Itoa(port) + path)
	if err != nil {
		return "unhealthy", "Target.FailedHealthChecks", "Health checks failed"
	}
	r.Body.Close() //nolint:errcheck // read no more
	if r.StatusCode != http.StatusOK {
		return "unhealthy", "Target.ResponseCodeMismatch", fmt.Sprintf("Health checks failed with these codes: [%d]", r.StatusCode)
	}
	return "healthy", "", ""
}
