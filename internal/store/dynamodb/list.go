package dynamodb

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// pageSlack is how many items more than are wanted a page may hold: some are deleted ones.
const pageSlack = 8

// List reads a range. Each entry is as of a moment after the call; a list of several pages is no picture of one moment.
func (s *Store) List(ctx context.Context, prefix string, opts ...store.ListOption) ([]store.Entry, error) {
	if err := errors.Join(store.CheckPrefix(prefix), checkHash(prefix)); err != nil {
		return nil, err
	}
	entries, err := s.list(ctx, prefix, store.NewRange(opts))
	if err != nil {
		return nil, s.fail(ctx, "listing", prefix, err)
	}
	return entries, nil
}

func (s *Store) list(ctx context.Context, prefix string, r store.Range) ([]store.Entry, error) {
	ctx, done, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	entries := []store.Entry{}
	for _, p := range placesOf(prefix) {
		if entries, err = s.span(ctx, entries, p, r); err != nil {
			return nil, err
		}
	}
	// Parts with a hash of their own come in between by their names.
	slices.SortFunc(entries, func(a, b store.Entry) int {
		if r.Reverse {
			a, b = b, a
		}
		return strings.Compare(a.Key, b.Key)
	})
	if r.Limit > 0 && len(entries) > r.Limit {
		entries = entries[:r.Limit]
	}
	return entries, nil
}

// span appends the entries of one hash, at most r.Limit.
func (s *Store) span(ctx context.Context, entries []store.Entry, p place, r store.Range) ([]store.Entry, error) {
	partition := partitionOf(p.hash) + "/"
	condition, v, any := keyCondition(p, partition, r)
	if !any {
		return entries, nil
	}
	in := &dynamodb.QueryInput{
		TableName: &s.table, KeyConditionExpression: &condition, ExpressionAttributeNames: names(&condition), ExpressionAttributeValues: v,
		ConsistentRead: aws.Bool(true), ScanIndexForward: aws.Bool(!r.Reverse),
	}
	for taken := 0; ; {
		if r.Limit > 0 {
			in.Limit = aws.Int32(int32(min(r.Limit-taken+pageSlack, 1000)))
		}
		out, err := s.client.Query(ctx, in)
		if err != nil {
			return nil, err
		}
		now := s.now()
		for _, attrs := range out.Items {
			i, err := decode(attrs)
			if err != nil {
				return nil, err
			}
			e := i.entry()
			if !i.live(now) || !strings.HasPrefix(i.sort, p.sort) || r.After != "" && (e.Key == r.After || e.Key < r.After != r.Reverse) {
				continue
			}
			entries, taken = append(entries, e), taken+1
			if taken == r.Limit {
				return entries, nil
			}
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; len(in.ExclusiveStartKey) == 0 {
			return entries, nil
		}
	}
}

// keyCondition is the one condition on the sort key that a query may have. Its range holds at most two items too many, its
// ends: BETWEEN takes them in. any is false where the range is empty, which DynamoDB would refuse.
func keyCondition(p place, partition string, r store.Range) (condition string, v values, any bool) {
	v = values{":pk": text(p.hash)}
	after, bounded := strings.CutPrefix(r.After, partition)
	if r.After != "" && !bounded {
		// Of another partition: everything here comes behind it, or nothing.
		if r.After > partition != r.Reverse {
			return "", nil, false
		}
	}
	if !bounded || after == "" {
		if bounded && r.Reverse {
			return "", nil, false
		}
		if p.sort == "" {
			return "#pk = :pk", v, true
		}
		v[":prefix"] = text(p.sort)
		return "#pk = :pk AND begins_with(#sk, :prefix)", v, true
	}
	low, high := p.sort, store.PrefixEnd(p.sort)
	if r.Reverse {
		if high == "" || after < high {
			high = after
		}
	} else {
		low = max(low, after)
	}
	switch {
	case high != "" && low > high:
		return "", nil, false
	case high == "":
		v[":low"] = text(low)
		return "#pk = :pk AND #sk >= :low", v, true
	case low == "":
		v[":high"] = text(high)
		return "#pk = :pk AND #sk <= :high", v, true
	}
	v[":low"], v[":high"] = text(low), text(high)
	return "#pk = :pk AND #sk BETWEEN :low AND :high", v, true
}

// project are the attributes that a watch wants to see.
var projection = aws.String("#pk, #sk, #rev")

// keysOf are a batch's.
func keysOf(places []place) []map[string]types.AttributeValue {
	keys := make([]map[string]types.AttributeValue, 0, len(places))
	for _, p := range places {
		keys = append(keys, p.key())
	}
	return keys
}
