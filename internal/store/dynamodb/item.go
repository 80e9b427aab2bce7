package dynamodb

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	small "github.com/klauspost/compress/flate"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// Attributes of an item. Names are short because each is paid for in every item; in expressions they go by "#name",
// since some are words of DynamoDB's own.
const (
	attrHash     = "pk"   // S: the partition, or the partition's agents'
	attrSort     = "sk"   // S: the rest of the key
	attrValue    = "v"    // B
	attrDeflated = "z"    // BOOL, present: v is deflated
	attrRevision = "rev"  // N
	attrExpires  = "exp"  // N, milliseconds since 1970, present where the entry expires: from then on it is not there
	attrDead     = "dead" // BOOL, present: the entry is deleted, and keeps its revision
	attrWriter   = "w"    // B: the call that wrote last, so that its own repetition is no conflict
	attrTTL      = "ttl"  // N, seconds since 1970: DynamoDB may remove the item
)

// Parts of a partition have a hash of their own, so that a policy can tell them apart: what agents write, and what agents may not
// read though they read their farm.
const (
	agentsSuffix  = "@agents"
	sidecarSuffix = "@sidecar"
)

// kinds are the keys of such parts, by the begin of what follows the partition.
func kinds() [3]place {
	return [3]place{{agentsSuffix, "report/"}, {sidecarSuffix, "dnssecret/"}, {sidecarSuffix, "controller/"}}
}

// place is where a key stands.
type place struct{ hash, sort string }

// placeOf splits a key; CheckKey has passed it.
func placeOf(key string) place {
	hash, rest, _ := strings.Cut(key, "/")
	for _, k := range kinds() {
		if strings.HasPrefix(rest, k.sort) {
			hash += k.hash
		}
	}
	return place{hash, rest}
}

// placesOf are the spans of sort keys that a prefix stands for: one, or several where it holds a part of its own and more.
func placesOf(prefix string) []place {
	hash, rest, _ := strings.Cut(prefix, "/")
	places := []place{{hash, rest}}
	for _, k := range kinds() {
		switch {
		case strings.HasPrefix(rest, k.sort):
			return []place{{hash + k.hash, rest}}
		case strings.HasPrefix(k.sort, rest) && !slices.Contains(places, place{hash + k.hash, rest}):
			places = append(places, place{hash + k.hash, rest})
		}
	}
	return places
}

// partitionOf is the partition that a hash is of.
func partitionOf(hash string) string {
	return strings.TrimSuffix(strings.TrimSuffix(hash, agentsSuffix), sidecarSuffix)
}

// checkHash refuses a partition whose name would be that of another one's part.
func checkHash(key string) error {
	if p := store.Partition(key); p != partitionOf(p) || p == metaHash {
		return fmt.Errorf("%w key %q: partitions of this name are the store's own", store.ErrInvalid, key)
	}
	return nil
}

func (p place) key() map[string]types.AttributeValue {
	return map[string]types.AttributeValue{attrHash: text(p.hash), attrSort: text(p.sort)}
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
func raw(b []byte) types.AttributeValue  { return &types.AttributeValueMemberB{Value: b} }
func number[N ~int64 | ~int](n N) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(int64(n), 10)}
}

// item is a stored entry, as read.
type item struct {
	place
	value    []byte
	revision store.Revision
	expires  int64 // milliseconds since 1970; 0: never
	dead     bool
	writer   []byte
}

// live tells whether the entry is there at a time.
func (i item) live(now time.Time) bool {
	return i.revision > 0 && !i.dead && (i.expires == 0 || now.UnixMilli() < i.expires)
}

func (i item) entry() store.Entry {
	return store.Entry{Key: partitionOf(i.hash) + "/" + i.sort, Value: i.value, Revision: i.revision}
}

// decode reads an item, or the part of one that a projection left. One that this package cannot have written is an error.
func decode(attrs map[string]types.AttributeValue) (item, error) {
	var i item
	if len(attrs) == 0 {
		return i, nil
	}
	hash, okHash := attrs[attrHash].(*types.AttributeValueMemberS)
	sort, okSort := attrs[attrSort].(*types.AttributeValueMemberS)
	if !okHash || !okSort {
		return i, fmt.Errorf("%w: an item without %s and %s", store.ErrIncompatible, attrHash, attrSort)
	}
	i.place = place{hash.Value, sort.Value}
	var err error
	integer := func(name string) int64 {
		n, ok := attrs[name].(*types.AttributeValueMemberN)
		if !ok {
			return 0
		}
		v, parseErr := strconv.ParseInt(n.Value, 10, 64)
		if parseErr != nil && err == nil {
			err = fmt.Errorf("%w: item %s/%s: %s is %q", store.ErrIncompatible, i.hash, i.sort, name, n.Value)
		}
		return v
	}
	i.revision, i.expires = store.Revision(integer(attrRevision)), integer(attrExpires)
	if err == nil && i.revision <= 0 {
		err = fmt.Errorf("%w: item %s/%s has no revision: something else wrote it", store.ErrIncompatible, i.hash, i.sort)
	}
	_, i.dead = attrs[attrDead]
	if w, ok := attrs[attrWriter].(*types.AttributeValueMemberB); ok {
		i.writer = w.Value
	}
	if v, ok := attrs[attrValue].(*types.AttributeValueMemberB); ok {
		i.value = v.Value
	}
	if _, deflated := attrs[attrDeflated]; deflated && err == nil && i.value != nil {
		i.value, err = inflate(i.value)
	}
	if i.value == nil {
		i.value = []byte{}
	}
	return i, err
}

// deflateFrom is the size from which a value is deflated: below, an item is one unit of writing (1 KB) as it stands.
const deflateFrom = 900

// deflate makes a value smaller where that pays: reports are JSON that repeats itself, and a write is paid for by the
// kilobyte. The stateless form needs no memory between calls; an agent's is limited.
func deflate(value []byte) (stored []byte, deflated bool) {
	if len(value) < deflateFrom {
		return value, false
	}
	var out bytes.Buffer
	if err := small.StatelessDeflate(&out, value, true, nil); err != nil || out.Len() >= len(value) {
		return value, false
	}
	return out.Bytes(), true
}

func inflate(stored []byte) ([]byte, error) {
	r := flate.NewReader(bytes.NewReader(stored))
	value, err := io.ReadAll(io.LimitReader(r, store.MaxValue+1))
	if err != nil || len(value) > store.MaxValue {
		return nil, fmt.Errorf("%w: a value that cannot be inflated: %w", store.ErrIncompatible, err)
	}
	return value, nil
}

// names are all attributes' aliases that occur in an expression.
func names(expressions ...*string) map[string]string {
	all := strings.Builder{}
	for _, e := range expressions {
		all.WriteString(aws.ToString(e) + " ")
	}
	found := map[string]string{}
	for _, word := range strings.FieldsFunc(all.String(), func(r rune) bool { return r != '#' && (r < 'a' || r > 'z') }) {
		if name, ok := strings.CutPrefix(word, "#"); ok {
			found[word] = name
		}
	}
	return found
}
