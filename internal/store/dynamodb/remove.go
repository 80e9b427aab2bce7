package dynamodb

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// Remove deletes the table if it is a store's, was made here, and no entry lives in it. What was left is said, with the
// reason; "" when nothing is.
func Remove(ctx context.Context, cfg aws.Config, o Options) (left string, err error) {
	o.Mode = Trusting
	s, err := Open(ctx, cfg, o)
	if err != nil {
		return "", err
	}
	defer s.Close()
	if left, err = s.remove(ctx); err != nil {
		return "", s.fail(ctx, "removing table", s.table, err)
	}
	return left, nil
}

func (s *Store) remove(ctx context.Context) (left string, err error) {
	table, err := s.describe(ctx)
	if err != nil || table == nil || table.TableStatus == types.TableStatusDeleting {
		return "", err
	}
	if err := checkSchema(table); err != nil {
		return "", err
	}
	tags, err := s.client.ListTagsOfResource(ctx, &dynamodb.ListTagsOfResourceInput{ResourceArn: table.TableArn})
	if err != nil && !unknownOperation(err) {
		return "", err
	}
	made := false
	if err == nil {
		for _, t := range tags.Tags {
			made = made || aws.ToString(t.Key) == TagStore && aws.ToString(t.Value) == s.table
		}
	}
	if !made {
		return "table " + s.table + ", which was not made by farmhand", nil
	}
	pages := dynamodb.NewScanPaginator(s.client, &dynamodb.ScanInput{
		TableName: &s.table, ConsistentRead: aws.Bool(true), ProjectionExpression: aws.String("#pk, #sk, #rev, #dead, #exp"),
		ExpressionAttributeNames: names(aws.String("#pk, #sk, #rev, #dead, #exp")),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", err
		}
		for _, attrs := range page.Items {
			i, err := decode(attrs)
			if err != nil {
				return "", err
			}
			if i.hash != metaHash && i.live(s.now()) {
				return fmt.Sprintf("table %s, which holds %s", s.table, i.entry().Key), nil
			}
		}
	}
	if _, err := s.client.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &s.table}); err != nil {
		return "", err
	}
	return "", nil
}

// CheckTable tells what is wrong with a table's name.
func CheckTable(name string) error {
	good := len(name) >= 3 && len(name) <= 255
	for _, r := range name {
		good = good && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '.')
	}
	if !good {
		return fmt.Errorf("%w table %q: its name has 3 to 255 letters, digits, underscores, hyphens and dots", store.ErrInvalid, name)
	}
	return nil
}
