package dynamodb

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// keepDead is how long a deleted or expired item is kept, hidden, with its revision. An item that is made where there is
// none takes its revision from the clock, in microseconds; one that was deleted before has one from a clock, too, and no
// more writes than microseconds went by. So it always grows as long as the clocks of those who write, and DynamoDB's own
// that removes items, are less than a day off: of two days, one is for a clock ahead and one for a clock behind.
const keepDead = 48 * time.Hour

// values are those of an expression, by their placeholders.
type values map[string]types.AttributeValue

// update is an UpdateItem, also as part of a transaction.
type update struct {
	place
	set, remove []string
	conditions  []string
	values      values
	writer      []byte
}

func (u *update) expression() *string {
	e := "SET " + strings.Join(u.set, ", ")
	if len(u.remove) > 0 {
		e += " REMOVE " + strings.Join(u.remove, ", ")
	}
	return &e
}

func (u *update) condition() *string { return allOf(u.conditions) }

func allOf(conditions []string) *string {
	if len(conditions) == 0 {
		return nil
	}
	return aws.String("(" + strings.Join(conditions, ") AND (") + ")")
}

// at is the condition that the entry lives with a revision.
func at(name string, r store.Revision, v values) string {
	v[name] = number(r)
	return "#rev = " + name + " AND attribute_not_exists(#dead)"
}

// absent is the condition that there is no entry, or no longer.
func absent(now time.Time, v values) string {
	v[":now"] = number(now.UnixMilli())
	return "attribute_not_exists(#pk) OR attribute_exists(#dead) OR #exp <= :now"
}

// put begins the update that writes an entry; how its revision grows is the caller's to add.
func put(key string, value []byte, w store.Write, now time.Time) *update {
	u := newUpdate(key, w, now)
	stored, deflated := deflate(value)
	u.set = append(u.set, "#v = :v")
	u.values[":v"] = raw(append([]byte{}, stored...)) // nil would be no value
	u.remove = append(u.remove, "#dead")
	if deflated {
		u.set = append(u.set, "#z = :z")
		u.values[":z"] = &types.AttributeValueMemberBOOL{Value: true}
	} else {
		u.remove = append(u.remove, "#z")
	}
	if w.Expires.IsZero() {
		u.remove = append(u.remove, "#exp", "#ttl")
	} else {
		u.set = append(u.set, "#exp = :exp", "#ttl = :ttl")
		u.values[":exp"], u.values[":ttl"] = number(w.Expires.UnixMilli()), number(w.Expires.Add(keepDead).Unix())
	}
	return u
}

// bury begins the update that deletes an entry.
func bury(key string, w store.Write, now time.Time) *update {
	u := newUpdate(key, w, now)
	u.set = append(u.set, "#dead = :dead", "#ttl = :ttl")
	u.values[":dead"], u.values[":ttl"] = &types.AttributeValueMemberBOOL{Value: true}, number(now.Add(keepDead).Unix())
	u.remove = append(u.remove, "#v", "#z", "#exp")
	if w.If.IsAlways() {
		// What is not there leaves no grave.
		u.conditions = append(u.conditions, "attribute_exists(#pk) AND attribute_not_exists(#dead)")
	}
	return u
}

func newUpdate(key string, w store.Write, now time.Time) *update {
	u := &update{place: placeOf(key), values: values{}, writer: make([]byte, 8)}
	_, _ = rand.Read(u.writer) // never fails
	u.set, u.values[":w"] = append(u.set, "#w = :w"), raw(u.writer)
	if r, ok := w.If.Revision(); ok {
		u.conditions = append(u.conditions, at(":at", r, u.values))
	}
	if w.If.IsAbsent() {
		u.conditions = append(u.conditions, absent(now, u.values))
	}
	return u
}

// next lets the revision grow by one, whatever it is, or begin at the clock's.
func (u *update) next(now time.Time) {
	u.set = append(u.set, "#rev = if_not_exists(#rev, :base) + :one")
	u.values[":base"], u.values[":one"] = number(now.UnixMicro()), number(1)
}

// to sets the revision, provided that it grows.
func (u *update) to(r store.Revision) {
	u.set = append(u.set, "#rev = :new")
	u.conditions = append(u.conditions, "attribute_not_exists(#rev) OR #rev < :new")
	u.values[":new"] = number(r)
}
