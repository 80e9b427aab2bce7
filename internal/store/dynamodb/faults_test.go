package dynamodb_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/dynamodb"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/dynamodb/dynalitetest"
)

// table makes a table with string keys.
func table(t *testing.T, c *sdk.Client, name string, keys ...string) {
	t.Helper()
	in := &sdk.CreateTableInput{TableName: &name, BillingMode: types.BillingModePayPerRequest}
	for i, k := range keys {
		kind := types.KeyTypeHash
		if i > 0 {
			kind = types.KeyTypeRange
		}
		in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: aws.String(k), AttributeType: types.ScalarAttributeTypeS})
		in.KeySchema = append(in.KeySchema, types.KeySchemaElement{AttributeName: aws.String(k), KeyType: kind})
	}
	if _, err := c.CreateTable(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

// TestForeignTables: a table that is no store of this version's is left as it is, and the error says what to do.
func TestForeignTables(t *testing.T) {
	server := dynalitetest.Start(t)
	c := sdk.NewFromConfig(server.Config(t))
	item := func(table string, attrs map[string]types.AttributeValue) {
		t.Helper()
		s, err := dynamodb.Open(t.Context(), server.Config(t), dynamodb.Options{Table: table, Mode: dynamodb.Existing})
		if !errors.Is(err, store.ErrNotFound) { // empty: it becomes one at the first apply
			t.Fatalf("an empty table: %v, %v", s, err)
		}
		if _, err := c.PutItem(t.Context(), &sdk.PutItemInput{TableName: &table, Item: attrs}); err != nil {
			t.Fatal(err)
		}
	}
	str := func(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }
	table(t, c, "terraform-locks", "LockID")
	table(t, c, "orders", "pk", "sk")
	item("orders", map[string]types.AttributeValue{"pk": str("customer#1"), "sk": str("order#1")})
	table(t, c, "newer", "pk", "sk")
	item("newer", map[string]types.AttributeValue{"pk": str("@farmhand"), "sk": str("schema"), "rev": &types.AttributeValueMemberN{Value: "99"}})
	for name, want := range map[string]string{
		"terraform-locks": "has the keys",
		"orders":          "holds something else than a store: name another table",
		"newer":           "written by a newer version of farmhand",
	} {
		server.Forget()
		_, err := dynamodb.Open(t.Context(), server.Config(t), dynamodb.Options{Table: name})
		if !errors.Is(err, store.ErrIncompatible) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("table %s: %v, want ErrIncompatible with %q", name, err, want)
		}
		for _, change := range []string{"PutItem", "UpdateTimeToLive", "UpdateContinuousBackups", "CreateTable"} {
			if n := len(server.Calls(change)); n > 0 {
				t.Errorf("table %s: %d calls of %s", name, n, change)
			}
		}
	}
}

// TestRefusals: what AWS refuses is told by its class, with the action and the way out; throttling is waited out.
func TestRefusals(t *testing.T) {
	server := dynalitetest.Start(t)
	s := open(t, server.URL, dynamodb.Options{Table: newTable()})
	for _, c := range []struct {
		code, says string
		class      error
	}{
		{"AccessDeniedException", "on table " + s.Table() + ": allow it", store.ErrDenied},
		{"ExpiredTokenException", "renew the session", store.ErrDenied},
		{"UnrecognizedClientException", "which profile and clock", store.ErrDenied},
		{"ResourceNotFoundException", "was it deleted?", store.ErrUnavailable},
	} {
		for _, operation := range []string{"UpdateItem", "PutItem", "TransactWriteItems"} {
			server.Fail(operation, c.code, "User is not authorized to perform this", 20)
		}
		_, err := s.Put(t.Context(), "shop/farm", []byte("{}"))
		if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v with %q", c.code, err, c.class, c.says)
		}
		server.Forget()
	}
	for _, operation := range []string{"UpdateItem", "PutItem", "TransactWriteItems"} {
		server.Fail(operation, "ProvisionedThroughputExceededException", "The level of configured provisioned throughput for the table was exceeded", 1)
	}
	if _, err := s.Put(t.Context(), "shop/farm", []byte("{}")); err != nil {
		t.Errorf("throttled once: %v", err)
	}
}

// TestRemove: what farmhand did not make, and what holds something, stays.
func TestRemove(t *testing.T) {
	server := dynalitetest.Start(t)
	c := sdk.NewFromConfig(server.Config(t))
	name := newTable()
	s := open(t, server.URL, dynamodb.Options{Table: name})
	remove := func(want string) {
		t.Helper()
		left, err := dynamodb.Remove(t.Context(), server.Config(t), dynamodb.Options{Table: name})
		if err != nil || !strings.Contains(left, want) || (want == "") != (left == "") {
			t.Errorf("removing left %q, %v; want %q", left, err, want)
		}
	}
	remove("was not made by farmhand") // dynalite drops the tags that the table was made with
	described, err := c.DescribeTable(t.Context(), &sdk.DescribeTableInput{TableName: &name})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.TagResource(t.Context(), &sdk.TagResourceInput{ResourceArn: described.Table.TableArn, Tags: []types.Tag{{Key: aws.String(dynamodb.TagStore), Value: &name}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "shop/farm", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	remove("holds shop/farm")
	if err := s.Delete(t.Context(), "shop/farm"); err != nil {
		t.Fatal(err)
	}
	remove("")
	if made := server.Calls("DeleteTable"); len(made) != 1 {
		t.Errorf("DeleteTable was called %d times", len(made))
	}
	remove("") // it is gone
}
