package aws

import (
	"context"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// namesAtOnce is how many machines are named by one tick: CreateTags gives the same tags to all that it names, so that each is a call.
const namesAtOnce = 3

// nameForPeople tags machines with their instance's name, for whoever looks at the console. Nothing here reads it. Until its turn comes a
// machine has its role's name, which the launch template gives to all alike.
func (p *AWS) nameForPeople(ctx context.Context, s *sight, b *budget) error {
	n := 0
	for _, id := range sortedKeys(s.keys) {
		key := s.keys[id]
		h, ok := s.host(id)
		if !ok || key.Instance == "" || h.name == key.Instance || !h.alive() || n == namesAtOnce || !b.take() {
			continue
		}
		c, err := p.compute(ctx)
		if err != nil {
			return err
		}
		n++
		_, err = c.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{id}, Tags: []types.Tag{
			{Key: awssdk.String(tagName), Value: awssdk.String(p.farm.Name + " " + key.Instance)},
			{Key: awssdk.String(tagInstance), Value: awssdk.String(key.Instance)},
		}})
		if err != nil && !isUnknown(err) {
			return explain(err, "naming machine "+id)
		}
	}
	return nil
}
