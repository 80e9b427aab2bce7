package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// TagStore is the tag that a table made here carries, with the table's name; a table without it is never deleted.
const TagStore = "farmhand:store"

// metaHash and metaSort are the item that marks a table as a store; its revision is the schema's version.
const (
	metaHash      = "@farmhand"
	metaSort      = "schema"
	schemaVersion = 1
)

// makeTime bounds the making of a table, which AWS does in some ten seconds.
const makeTime = 5 * time.Minute

// Mode is what Open may do.
type Mode int

const (
	// Create makes the table if there is none. The zero value.
	Create Mode = iota
	// Existing checks the table and makes none.
	Existing
	// Trusting opens without a call: for agents, who may look at nothing but their farm, and start when it is there.
	Trusting
)

// Options of Open.
type Options struct {
	Table string
	Mode  Mode
	Tags  map[string]string // of a table that is made, beside TagStore
	Now   func() time.Time  // nil: time.Now
	Log   *slog.Logger      // nil: slog.Default
}

// Open opens the store in a table. It returns store.ErrIncompatible, and leaves the table as it is, if that is of another
// schema, holds something else, or was written by a newer version; store.ErrNotFound if there is none and Mode is not
// Create; store.ErrDenied, naming the action, if the credentials do not reach so far.
func Open(ctx context.Context, cfg aws.Config, o Options) (*Store, error) {
	s := &Store{client: dynamodb.NewFromConfig(cfg), table: o.Table, region: cfg.Region, now: o.Now, log: o.Log}
	s.hub.watched, s.hub.poked = map[string]*watched{}, make(chan struct{}, 1)
	s.closing, s.close = context.WithCancel(context.Background())
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if o.Mode == Trusting {
		return s, nil
	}
	if err := s.prepare(ctx, o); err != nil {
		return nil, s.fail(ctx, "opening the store in table", o.Table, err)
	}
	return s, nil
}

// prepare sees to it that the table is there and a store's.
func (s *Store) prepare(ctx context.Context, o Options) error {
	ctx, cancel := context.WithTimeoutCause(ctx, makeTime, fmt.Errorf("the table was not ready within %s", makeTime))
	defer cancel()
	table, err := s.describe(ctx)
	if err != nil {
		return err
	}
	if table == nil && o.Mode != Create {
		return fmt.Errorf("%w: there is no table %s in %s: the first apply with this store makes it; see the provider's store and region", store.ErrNotFound, s.table, s.region)
	}
	if table == nil {
		if err := s.make(ctx, o.Tags); err != nil {
			return err
		}
	}
	if table, err = s.awaitActive(ctx); err != nil {
		return err
	}
	if err := checkSchema(table); err != nil {
		return err
	}
	version, err := s.version(ctx)
	if err != nil {
		return err
	}
	switch {
	case version == schemaVersion:
		return nil
	case version > schemaVersion:
		return fmt.Errorf("%w: table %s was written by a newer version of farmhand (schema %d, this one knows %d): use that version", store.ErrIncompatible, s.table, version, schemaVersion)
	}
	return s.adopt(ctx, o.Mode)
}

// describe returns nil if there is no table.
func (s *Store) describe(ctx context.Context) (*types.TableDescription, error) {
	out, err := s.client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &s.table})
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return out.Table, nil
}

func (s *Store) make(ctx context.Context, tags map[string]string) error {
	all := map[string]string{}
	maps.Copy(all, tags)
	all[TagStore] = s.table
	in := &dynamodb.CreateTableInput{
		TableName: &s.table,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String(attrHash), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String(attrSort), AttributeType: types.ScalarAttributeTypeS},
		},
		KeySchema: []types.KeySchemaElement{
			{AttributeName: aws.String(attrHash), KeyType: types.KeyTypeHash},
			{AttributeName: aws.String(attrSort), KeyType: types.KeyTypeRange},
		},
		BillingMode: types.BillingModePayPerRequest,
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(key), Value: aws.String(all[key])})
	}
	_, err := s.client.CreateTable(ctx, in)
	var another *types.ResourceInUseException
	if errors.As(err, &another) {
		return nil // somebody else was faster
	}
	return err
}

// awaitActive returns when the table can be used. A table that was just made may not be seen for a moment.
func (s *Store) awaitActive(ctx context.Context) (*types.TableDescription, error) {
	for wait := 200 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		table, err := s.describe(ctx)
		if err != nil {
			return nil, err
		}
		if table != nil {
			switch table.TableStatus {
			case types.TableStatusActive, types.TableStatusUpdating:
				return table, nil
			case types.TableStatusCreating:
			case types.TableStatusDeleting:
				return nil, fmt.Errorf("%w: table %s is being deleted: try again in a minute", store.ErrUnavailable, s.table)
			default:
				return nil, fmt.Errorf("%w: table %s is %s: see what AWS says of it", store.ErrUnavailable, s.table, table.TableStatus)
			}
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

func checkSchema(table *types.TableDescription) error {
	got := map[types.KeyType]string{}
	for _, k := range table.KeySchema {
		name := aws.ToString(k.AttributeName)
		for _, d := range table.AttributeDefinitions {
			if aws.ToString(d.AttributeName) == name {
				got[k.KeyType] = name + " " + string(d.AttributeType)
			}
		}
	}
	want := map[types.KeyType]string{types.KeyTypeHash: attrHash + " S", types.KeyTypeRange: attrSort + " S"}
	if !maps.Equal(got, want) {
		return fmt.Errorf("%w: table %s has the keys %v, a store's are %v: name another table, farmhand makes it", store.ErrIncompatible, aws.ToString(table.TableName), got, want)
	}
	return nil
}

// version is the schema's, 0 where nothing says so.
func (s *Store) version(ctx context.Context) (int64, error) {
	i, err := s.get(ctx, place{metaHash, metaSort})
	return int64(i.revision), err
}

// adopt finishes an empty table: one just made, or prepared by somebody.
func (s *Store) adopt(ctx context.Context, mode Mode) error {
	out, err := s.client.Scan(ctx, &dynamodb.ScanInput{TableName: &s.table, Limit: aws.Int32(1), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return err
	}
	if len(out.Items) > 0 {
		// Another process may have finished it meanwhile.
		if version, err := s.version(ctx); err != nil || version == schemaVersion {
			return err
		}
		return fmt.Errorf("%w: table %s holds something else than a store: name another table, farmhand makes it", store.ErrIncompatible, s.table)
	}
	if mode != Create {
		return fmt.Errorf("%w: table %s in %s is empty: the first apply with this store prepares it", store.ErrNotFound, s.table, s.region)
	}
	_, err = s.client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName: &s.table, TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String(attrTTL), Enabled: aws.Bool(true)},
	})
	if err := s.tolerate(err, "entries that expire will be hidden, and stay"); err != nil {
		return err
	}
	_, err = s.client.UpdateContinuousBackups(ctx, &dynamodb.UpdateContinuousBackupsInput{
		TableName: &s.table, PointInTimeRecoverySpecification: &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: aws.Bool(true)},
	})
	if err := s.tolerate(err, "there will be no point-in-time recovery"); err != nil {
		return err
	}
	_, err = s.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.table, Item: map[string]types.AttributeValue{
		attrHash: text(metaHash), attrSort: text(metaSort), attrRevision: number(schemaVersion),
	}})
	return err
}

// tolerate lets a setting pass that the endpoint does not know (an emulator's), or that is made already by whoever
// prepares the same table at this moment.
func (s *Store) tolerate(err error, so string) error {
	var refused smithy.APIError
	switch {
	case err == nil:
		return nil
	case unknownOperation(err):
		s.log.Warn("this endpoint is not AWS' own: "+so, "table", s.table)
		return nil
	case errors.As(err, &refused) && refused.ErrorCode() == "ValidationException" && s.ttlOn(refused.ErrorMessage()):
		return nil
	}
	var busy *types.ContinuousBackupsUnavailableException // backups are being turned on already
	if errors.As(err, &busy) {
		return nil
	}
	return err
}

// ttlOn tells whether a refusal says that the setting is there already.
func (s *Store) ttlOn(message string) bool {
	return message == "TimeToLive is already enabled"
}
