package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

const (
	// tangledTries bounds the tries of a write that meets another's transaction on the same item, with waits from
	// firstTangle doubling to longestTangle: some six seconds in all.
	tangledTries  = 12
	firstTangle   = 10 * time.Millisecond
	longestTangle = time.Second
	// outrunTries bounds the tries of a guarded write that others' writes of its key outrun.
	outrunTries = 20
)

// errOutrun: the item's revision is not below the one that was to be written.
var errOutrun = errors.New("written meanwhile")

// guarded writes u in one transaction with the check of its guard. A transaction returns nothing of what it wrote, so that
// the revision is chosen here: behind the one demanded, else by the clock, and if the item has a greater one already (its
// writer's clock is ahead), behind that.
func (s *Store) guarded(ctx context.Context, w store.Write, begin func(now time.Time) *update) (store.Revision, error) {
	// Transactions that check the same fence collide with each other. Those of one process need not.
	done, err := s.turn(ctx, store.Partition(w.Guard.Key))
	if err != nil {
		return 0, err
	}
	defer done()
	var least store.Revision
	for range outrunTries {
		now := s.now()
		revision := max(store.Revision(now.UnixMicro()), least+1)
		if r, ok := w.If.Revision(); ok {
			revision = r + 1
		}
		u := begin(now)
		u.to(revision)
		err := s.transact(ctx, u, w.Guard)
		if !errors.Is(err, store.ErrConflict) {
			return revision, err
		}
		if _, ok := w.If.Revision(); ok {
			return 0, err
		}
		i, err := s.get(ctx, u.place)
		if err != nil {
			return 0, err
		}
		gone := i.revision == 0 || i.dead
		if w.If.IsAbsent() && i.live(now) || u.buries() && gone {
			return 0, store.ErrConflict
		}
		least = i.revision
	}
	return 0, fmt.Errorf("%w: %w %d times over", store.ErrUnavailable, errOutrun, outrunTries)
}

// turn waits for this process' turn to write guarded in a partition.
func (s *Store) turn(ctx context.Context, partition string) (done func(), err error) {
	v, _ := s.turns.LoadOrStore(partition, make(chan struct{}, 1))
	c := v.(chan struct{}) //nolint:forcetypeassert // only channels are stored in it
	select {
	case c <- struct{}{}:
		return func() { <-c }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// buries tells whether the update deletes.
func (u *update) buries() bool { return u.values[":dead"] != nil }

// transact writes u if the guard holds: else ErrFenced, or ErrConflict if only u's own conditions do not.
func (s *Store) transact(ctx context.Context, u *update, g *store.Guard) error {
	if s.simple.Load() {
		return s.checkAndUpdate(ctx, u, g)
	}
	guardValues := values{}
	check := &types.ConditionCheck{
		TableName: &s.table, Key: placeOf(g.Key).key(), ConditionExpression: aws.String(at(":guard", g.Revision, guardValues)), ExpressionAttributeValues: guardValues,
	}
	check.ExpressionAttributeNames = names(check.ConditionExpression)
	write := &types.Update{
		TableName: &s.table, Key: u.key(), UpdateExpression: u.expression(), ConditionExpression: u.condition(), ExpressionAttributeValues: u.values,
	}
	write.ExpressionAttributeNames = names(write.UpdateExpression, write.ConditionExpression)
	// A repetition by the client carries the same token: DynamoDB answers it as it did the first time.
	in := &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{{ConditionCheck: check}, {Update: write}}}
	err := s.untangled(ctx, func() error {
		_, err := s.client.TransactWriteItems(ctx, in)
		return err
	})
	if unknownOperation(err) {
		if !s.simple.Swap(true) {
			s.log.Warn("this endpoint knows no transactions, so it is not AWS' own: a guard is checked before a write, not with it", "table", s.table)
		}
		return s.checkAndUpdate(ctx, u, g)
	}
	var cancelled *types.TransactionCanceledException
	if !errors.As(err, &cancelled) || len(cancelled.CancellationReasons) != 2 {
		return err
	}
	const failed = "ConditionalCheckFailed"
	switch reasons := cancelled.CancellationReasons; {
	case aws.ToString(reasons[0].Code) == failed:
		return store.ErrFenced
	case aws.ToString(reasons[1].Code) == failed:
		return store.ErrConflict
	}
	return err
}

// checkAndUpdate is transact for endpoints without transactions, which AWS' never are: between check and write another
// may take the lease over, so that nothing that matters may rest on it.
func (s *Store) checkAndUpdate(ctx context.Context, u *update, g *store.Guard) error {
	i, err := s.get(ctx, placeOf(g.Key))
	if err != nil {
		return err
	}
	if i.revision != g.Revision || i.dead {
		return store.ErrFenced
	}
	_, err = s.update(ctx, u)
	return err
}

// untangled repeats a write that was refused only because a transaction on the same item was under way.
func (s *Store) untangled(ctx context.Context, write func() error) error {
	wait := firstTangle
	for try := 1; ; try++ {
		err := write()
		if err == nil || !tangled(err) || try == tangledTries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait/2 + rand.N(wait)):
		}
		wait = min(2*wait, longestTangle)
	}
}

// tangled tells whether a write was refused for what passes, and no condition of a transaction failed.
func tangled(err error) bool {
	var conflict *types.TransactionConflictException
	var progress *types.TransactionInProgressException
	if errors.As(err, &conflict) || errors.As(err, &progress) {
		return true
	}
	var cancelled *types.TransactionCanceledException
	if !errors.As(err, &cancelled) {
		return false
	}
	passes := false
	for _, r := range cancelled.CancellationReasons {
		switch aws.ToString(r.Code) {
		case "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded":
			passes = true
		case "None", "":
		default:
			return false
		}
	}
	return passes
}

func unknownOperation(err error) bool {
	var refused smithy.APIError
	return errors.As(err, &refused) && refused.ErrorCode() == "UnknownOperationException"
}
