package ec2

import (
	"slices"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

type (
	createTags struct {
		ResourceId []string `q:",required"`
		Tag        []Tag    `q:",required"`
	}
	deleteTags struct {
		ResourceId []string `q:",required"`
		Tag        []struct {
			Key   string
			Value *string
		}
	}
	describeTags struct {
		paged
		Filter []wire.Filter
	}
	tagOut  struct{ ResourceId, ResourceType, Key, Value string }
	tagsOut struct {
		Tag       []tagOut
		NextToken string
	}
)

func (s *Service) onTags() {
	wire.On(s.Query, "CreateTags", s.createTags)
	wire.On(s.Query, "DeleteTags", s.deleteTags)
	wire.On(s.Query, "DescribeTags", s.describeTags)
}

// kinds are resource types by the prefix of their ids.
var kinds = map[string]string{
	"i": "instance", "vol": "volume", "snap": "snapshot", "lt": "launch-template", "eipalloc": "elastic-ip", "subnet": "subnet", "vpc": "vpc",
	"sg": "security-group", "ami": "image", "key": "key-pair", "fleet": "fleet",
}

// exists refuses ids of nothing.
func (s *Service) exists(id string) error {
	prefix, _, _ := strings.Cut(id, "-")
	var ok bool
	switch kinds[prefix] {
	case "instance":
		_, err := s.find([]string{id})
		return err
	case "volume":
		_, err := s.volume(id)
		return err
	case "snapshot":
		_, err := s.snapshot(id)
		return err
	case "launch-template":
		_, err := s.template(id, "")
		return err
	case "elastic-ip":
		_, ok = s.addresses[id]
	case "subnet":
		_, err := s.subnet(id)
		return err
	case "vpc":
		ok = slices.ContainsFunc(s.vpcs, func(v vpc) bool { return v.VpcId == id })
	case "security-group":
		_, err := s.groupOf(id)
		return err
	case "image":
		_, err := s.image(id)
		return err
	case "fleet":
		_, ok = s.tags[id]
	default:
		return wire.Errorf("InvalidID", "The ID '%s' is not valid", id)
	}
	if !ok {
		return wire.Errorf("InvalidID", "The ID '%s' is not valid", id)
	}
	return nil
}

func (s *Service) createTags(c *wire.Context, in *createTags) (*done, error) {
	if err := checkTagList(in.Tag); err != nil {
		return nil, err
	}
	for _, id := range in.ResourceId {
		if err := s.exists(id); err != nil {
			return nil, err
		}
		if len(s.tags[id])+len(in.Tag) > 50+3 { // some may be there already, and AWS' own do not count
			return nil, wire.Errorf("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
		}
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	for _, id := range in.ResourceId {
		s.setTags(id, in.Tag)
	}
	return yes, nil
}

func (s *Service) deleteTags(c *wire.Context, in *deleteTags) (*done, error) {
	for _, id := range in.ResourceId {
		if err := s.exists(id); err != nil {
			return nil, err
		}
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	for _, id := range in.ResourceId {
		if len(in.Tag) == 0 { // all of the user's own
			for k := range s.tags[id] {
				if !strings.HasPrefix(k, "aws:") {
					delete(s.tags[id], k)
				}
			}
		}
		for _, t := range in.Tag {
			if v, ok := s.tags[id][t.Key]; ok && (t.Value == nil || *t.Value == v) {
				delete(s.tags[id], t.Key)
			}
		}
	}
	return yes, nil
}

func (s *Service) describeTags(_ *wire.Context, in *describeTags) (*tagsOut, error) {
	size, err := in.size(s.world, 0, 5, 1000)
	if err != nil {
		return nil, err
	}
	s.settleAll()
	var all []tagOut
	for id, tags := range s.tags {
		prefix, _, _ := strings.Cut(id, "-")
		for k, v := range tags {
			t := tagOut{id, kinds[prefix], k, v}
			ok, err := wire.Pass(in.Filter, map[string]string{k: v}, func(name string) ([]string, bool) {
				return pick(name, map[string]string{"key": k, "value": v, "resource-id": id, "resource-type": t.ResourceType})
			})
			if err != nil {
				return nil, err
			}
			if ok {
				all = append(all, t)
			}
		}
	}
	page, next, werr := wire.Page(all, func(t tagOut) string { return t.ResourceId + " " + t.Key }, "tags", in.NextToken, size)
	if werr != nil {
		return nil, werr
	}
	return &tagsOut{page, next}, nil
}
