package aws

import (
	"maps"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Tags by which everything that is made for a farm is found again. Users' own tags stand beside them.
const (
	tagFarm       = "farmhand:farm"
	tagSidecar    = "farmhand:sidecar"
	tagRole       = "farmhand:role"
	tagGeneration = "farmhand:generation"
	tagBatch      = "farmhand:batch"    // of machines: the call that made them
	tagInstance   = "farmhand:instance" // of volumes, snapshots and addresses: whose they are; of machines: for people
	tagMove       = "farmhand:move"     // of snapshots: the move of a volume that they are made for, and are deleted after
	tagSnapshot   = "farmhand:snapshot" // of snapshots that TakeSnapshot made: their names
	tagName       = "Name"
)

// tags are the farm's own and the user's, with the pairs given.
func (p *AWS) tags(pairs ...string) []types.Tag {
	all := maps.Clone(p.farm.AWS.Tags)
	if all == nil {
		all = map[string]string{}
	}
	all[tagFarm] = p.farm.Name
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			all[pairs[i]] = pairs[i+1]
		}
	}
	tags := make([]types.Tag, 0, len(all))
	for _, k := range slices.Sorted(maps.Keys(all)) {
		tags = append(tags, types.Tag{Key: awssdk.String(k), Value: awssdk.String(all[k])})
	}
	return tags
}

// tagged gives the same tags to what is made of each kind.
func tagged(tags []types.Tag, kinds ...types.ResourceType) []types.TagSpecification {
	specs := make([]types.TagSpecification, 0, len(kinds))
	for _, k := range kinds {
		specs = append(specs, types.TagSpecification{ResourceType: k, Tags: tags})
	}
	return specs
}

// tag reads one of a resource's tags.
func tag(tags []types.Tag, key string) string {
	for _, t := range tags {
		if awssdk.ToString(t.Key) == key {
			return awssdk.ToString(t.Value)
		}
	}
	return ""
}

// ours selects the farm's resources.
func (p *AWS) ours() types.Filter { return filter("tag:"+tagFarm, p.farm.Name) }

func filter(name string, values ...string) types.Filter {
	return types.Filter{Name: awssdk.String(name), Values: values}
}
