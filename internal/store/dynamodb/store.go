package dynamodb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// Store is a store.Store in one table. Safe for concurrent use; any number of processes may have the table open.
type Store struct {
	client *dynamodb.Client
	table  string
	region string
	now    func() time.Time
	log    *slog.Logger

	hub    hub
	turns  sync.Map    // partition → chan struct{}: one guarded write at a time
	simple atomic.Bool // the endpoint knows no transactions

	closing    context.Context
	close      context.CancelFunc
	background sync.WaitGroup
}

var _ store.Store = (*Store)(nil)

// Table is the table's name.
func (s *Store) Table() string { return s.table }

// Close closes every channel that Watch returned and waits for what is under way in the background.
func (s *Store) Close() error {
	s.close()
	s.hub.closeAll()
	s.background.Wait()
	return nil
}

// call makes the context of a call: it ends with the store, too.
func (s *Store) call(ctx context.Context) (context.Context, func(), error) {
	if s.closing.Err() != nil {
		return nil, nil, store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.closing, cancel)
	return ctx, func() { stop(); cancel() }, nil
}

// fail says what was being done, and why it failed.
func (s *Store) fail(ctx context.Context, doing, key string, err error) error {
	switch {
	case s.closing.Err() != nil:
		err = store.ErrClosed
	case ctx.Err() != nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrFenced):
		err = context.Cause(ctx)
	default:
		err = s.explain(err)
	}
	return fmt.Errorf("%s %s: %w", doing, key, err)
}

// Get reads one entry, as of now.
func (s *Store) Get(ctx context.Context, key string) (store.Entry, error) {
	if err := errors.Join(store.CheckKey(key), checkHash(key)); err != nil {
		return store.Entry{}, err
	}
	i, err := s.get(ctx, placeOf(key))
	if err == nil && !i.live(s.now()) {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.Entry{}, s.fail(ctx, "reading", key, err)
	}
	return i.entry(), nil
}

// get reads an item; one that is not there has revision 0.
func (s *Store) get(ctx context.Context, p place) (item, error) {
	ctx, done, err := s.call(ctx)
	if err != nil {
		return item{}, err
	}
	defer done()
	out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, Key: p.key(), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return item{}, err
	}
	return decode(out.Item)
}

// Put writes one entry.
func (s *Store) Put(ctx context.Context, key string, value []byte, opts ...store.Option) (store.Revision, error) {
	w := store.NewWrite(opts)
	if err := errors.Join(store.CheckWrite(key, value, w), checkHash(key)); err != nil {
		return 0, err
	}
	revision, err := s.write(ctx, key, w, func(now time.Time) *update { return put(key, value, w, now) })
	if err != nil {
		return 0, s.fail(ctx, "writing", key, err)
	}
	s.hub.wrote(key, revision)
	return revision, nil
}

// Delete removes one entry.
func (s *Store) Delete(ctx context.Context, key string, opts ...store.Option) error {
	w := store.NewWrite(opts)
	if err := errors.Join(store.CheckWrite(key, nil, w), checkHash(key)); err != nil {
		return err
	}
	if w.If.IsAbsent() {
		return s.deleteAbsent(ctx, key, w)
	}
	revision, err := s.write(ctx, key, w, func(now time.Time) *update { return bury(key, w, now) })
	if errors.Is(err, store.ErrConflict) && w.If.IsAlways() {
		return nil // it was not there
	}
	if err != nil {
		return s.fail(ctx, "deleting", key, err)
	}
	s.hub.wrote(key, revision)
	return nil
}

// deleteAbsent deletes nothing: it only checks.
func (s *Store) deleteAbsent(ctx context.Context, key string, w store.Write) error {
	var err error
	if g := w.Guard; g != nil {
		var i item
		if i, err = s.get(ctx, placeOf(g.Key)); err == nil && (i.revision != g.Revision || i.dead) {
			err = store.ErrFenced
		}
	}
	var i item
	if err == nil {
		i, err = s.get(ctx, placeOf(key))
	}
	if err == nil && i.live(s.now()) {
		err = store.ErrConflict
	}
	if err != nil {
		return s.fail(ctx, "deleting", key, err)
	}
	return nil
}

// write carries a write out, with its guard if it has one.
func (s *Store) write(ctx context.Context, key string, w store.Write, begin func(now time.Time) *update) (store.Revision, error) {
	ctx, done, err := s.call(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	if w.Guard != nil && w.Guard.Key != key {
		return s.guarded(ctx, w, begin)
	}
	now := s.now()
	u := begin(now)
	u.next(now)
	if w.Guard != nil { // it guards itself: one item, one condition more
		u.conditions = append(u.conditions, at(":guard", w.Guard.Revision, u.values))
	}
	revision, err := s.update(ctx, u)
	if w.Guard != nil && errors.Is(err, store.ErrConflict) {
		i, getErr := s.get(ctx, u.place)
		if getErr != nil {
			return 0, getErr
		}
		if i.revision != w.Guard.Revision || i.dead {
			return 0, store.ErrFenced
		}
	}
	return revision, err
}

// update writes one item and returns its revision; ErrConflict if its conditions do not hold.
func (s *Store) update(ctx context.Context, u *update) (store.Revision, error) {
	in := &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: u.key(), UpdateExpression: u.expression(), ConditionExpression: u.condition(), ExpressionAttributeValues: u.values,
		ReturnValues: types.ReturnValueUpdatedNew, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	in.ExpressionAttributeNames = names(in.UpdateExpression, in.ConditionExpression)
	var out *dynamodb.UpdateItemOutput
	err := s.untangled(ctx, func() (err error) {
		out, err = s.client.UpdateItem(ctx, in)
		return err
	})
	var refused *types.ConditionalCheckFailedException
	if errors.As(err, &refused) {
		// The client sends a call again whose answer got lost. If the first one was carried out, this is its own trace.
		if i, decodeErr := decode(refused.Item); decodeErr == nil && bytes.Equal(i.writer, u.writer) {
			return i.revision, nil
		}
		return 0, store.ErrConflict
	}
	if err != nil {
		return 0, err
	}
	n, ok := out.Attributes[attrRevision].(*types.AttributeValueMemberN)
	if !ok {
		return 0, fmt.Errorf("%w: DynamoDB did not say which revision it wrote", store.ErrUnavailable)
	}
	r, err := strconv.ParseInt(n.Value, 10, 64)
	return store.Revision(r), err
}
