// Package ec2 answers for EC2: instances and what they are made of, fleets of type instant, templates, volumes,
// snapshots and addresses.
package ec2

import (
	"sort"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

// Options are what holds throughout a test.
type Options struct {
	StartDelay, StopDelay, ListLag time.Duration
	Backing                        Backing
	// Profile finds an instance profile by name or ARN, once EC2 may know of it.
	Profile func(nameOrARN string) (name, arn string, ok bool)
	// Role names the role in an instance profile, for instances' metadata.
	Role func(profile string) string
}

// Service is EC2. Every map is guarded by the world's lock.
type Service struct {
	*wire.Query
	world   *wire.World
	options Options
	backing Backing

	tags      map[string]map[string]string // by resource id
	instances map[string]*Instance
	templates map[string]*template
	volumes   map[string]*volume
	snapshots map[string]*snapshot
	addresses map[string]*address
	vpcs      []vpc
	subnets   []*subnet
	groups    map[string]*group
	images    []image
	keys      []keyPair
	types     []Type

	tokens     map[string]token
	queue      map[string]chan struct{} // by instance: the last call to the backing
	noCapacity map[pool]bool
	quota      int

	addressQuota, allocations int
}

// pool is where capacity is found or not.
type pool struct{ instanceType, zone, market string }

// New returns EC2 in a seeded world.
func New(w *wire.World, o Options) *Service {
	s := &Service{
		Query: &wire.Query{World: w, Version: "2016-11-15", Namespace: "http://ec2.amazonaws.com/doc/2016-11-15/", Style: wire.EC2},
		world: w, options: o, backing: o.Backing, quota: -1,
		tags: map[string]map[string]string{}, instances: map[string]*Instance{}, templates: map[string]*template{},
		volumes: map[string]*volume{}, snapshots: map[string]*snapshot{}, addresses: map[string]*address{},
		groups: map[string]*group{}, tokens: map[string]token{}, queue: map[string]chan struct{}{}, noCapacity: map[pool]bool{},
	}
	s.seed()
	s.onInstances()
	s.onTemplates()
	s.onNetwork()
	s.onCatalogue()
	s.onTags()
	s.onVolumes()
	s.onSnapshots()
	s.onAddresses()
	if s.backing != nil {
		s.backing.Bind(s)
	}
	return s
}

// Close ends the backing.
func (s *Service) Close() {
	if s.backing != nil {
		s.backing.Close()
	}
}

// Tag is a key and its value.
type Tag struct{ Key, Value string }

// TagSpecification is tags for one kind of what a call makes.
type TagSpecification struct {
	ResourceType string
	Tag          []Tag
}

// tagsOf are a resource's tags in order of their keys.
func (s *Service) tagsOf(id string) []Tag {
	var all []Tag
	for k, v := range s.tags[id] {
		all = append(all, Tag{k, v})
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Key < all[j].Key })
	return all
}

// checkTags refuses what cannot be a tag, and tag specifications for kinds that the call does not make.
func checkTags(specs []TagSpecification, kinds ...string) error {
	for _, spec := range specs {
		known := false
		for _, k := range kinds {
			known = known || k == spec.ResourceType
		}
		if !known {
			return wire.Errorf("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation.", spec.ResourceType)
		}
		if len(spec.Tag) == 0 {
			return wire.Errorf("InvalidParameterValue", "Tag specification must have at least one tag")
		}
		if err := checkTagList(spec.Tag); err != nil {
			return err
		}
	}
	return nil
}

func checkTagList(tags []Tag) error {
	seen := map[string]bool{}
	for _, t := range tags {
		switch {
		case t.Key == "" || len(t.Key) > 128:
			return wire.Errorf("InvalidParameterValue", "Tag key cannot be empty or longer than 128 characters: '%s'", t.Key)
		case len(t.Value) > 256:
			return wire.Errorf("InvalidParameterValue", "Tag value exceeds the maximum length of 256 characters")
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return wire.Errorf("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
		case seen[t.Key]:
			return wire.Errorf("InvalidParameterValue", "Duplicate tag key '%s' specified.", t.Key)
		}
		seen[t.Key] = true
	}
	if len(tags) > 50 {
		return wire.Errorf("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
	}
	return nil
}

// tagNew gives a new resource the tags meant for its kind.
func (s *Service) tagNew(id, kind string, specs []TagSpecification) {
	for _, spec := range specs {
		if spec.ResourceType == kind {
			s.setTags(id, spec.Tag)
		}
	}
}

func (s *Service) setTags(id string, tags []Tag) {
	if s.tags[id] == nil {
		s.tags[id] = map[string]string{}
	}
	for _, t := range tags {
		s.tags[id][t.Key] = t.Value
	}
}

// wellFormed tells whether an id has its prefix and 8 or 17 hexadecimal digits.
func wellFormed(prefix, id string) bool {
	rest, ok := strings.CutPrefix(id, prefix+"-")
	return ok && (len(rest) == 8 || len(rest) == 17) && strings.Trim(rest, "0123456789abcdef") == ""
}

// paged is what Describe calls take and give beside their own.
type paged struct {
	MaxResults int
	NextToken  string
}

func (p paged) size(w *wire.World, ids, least, most int) (int, error) {
	if p.MaxResults != 0 && ids > 0 {
		return 0, wire.Errorf("InvalidParameterCombination", "The parameter MaxResults cannot be used with a list of ids in the same request")
	}
	n, err := w.Size(p.MaxResults, least, most)
	if err != nil {
		return 0, err
	}
	return n, nil
}

// done is the answer of actions that say nothing but yes.
type done struct{ Return bool }

var yes = &done{Return: true}
