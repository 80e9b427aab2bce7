package dynamodb

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

const (
	// together: what is due within this time is asked for in one call.
	together = 250 * time.Millisecond
	// maxRate is the units of reading per second that one watch may cost: where a look at all that it stands for costs
	// more than a second's worth, looks come less often. 50 units a second are some 16 dollars a month.
	maxRate = 50.0
	// longestAway is the longest wait between looks while DynamoDB does not answer.
	longestAway = 30 * time.Second
	// lookTime bounds one look.
	lookTime = 10 * time.Second
	maxBatch = 100 // keys that BatchGetItem takes
)

// pace is how often a watch looks, by the kind of keys, and whether the kind is watched key by key: those of many keys go
// into one call. Of a kind watched by key, a prefix stands for the key of that name only.
func pace(prefix string) (every time.Duration, byKey bool) {
	_, rest, _ := strings.Cut(prefix, "/")
	kind, name, more := strings.Cut(rest, "/")
	byKey = more && name != ""
	switch kind {
	case "database":
		// A failover waits for it, twice.
		return 500 * time.Millisecond, byKey
	case "report":
		return 500 * time.Millisecond, false
	case "topology":
		return time.Second, !more
	case "assignment", "machine":
		return time.Second, byKey
	case "runtime":
		return 2 * time.Second, !more
	case "secret":
		return 5 * time.Second, byKey
	case "":
		return 3 * time.Second, false // a whole partition
	case "spec", "farm", "application", "manual":
		return 2 * time.Second, false
	}
	return time.Second, false
}

// Watch hints at once of this Store's own writes, and of others' when it next looks: see pace.
func (s *Store) Watch(ctx context.Context, prefix string) (<-chan struct{}, error) {
	if err := checkWatch(prefix); err != nil {
		return nil, err
	}
	w, err := s.hub.add(prefix, func() { s.background.Go(s.look) })
	if err != nil {
		return nil, s.fail(ctx, "watching", prefix, err)
	}
	context.AfterFunc(ctx, func() { s.hub.remove(w) })
	return w.hints, nil
}

func checkWatch(prefix string) error {
	if err := store.CheckPrefix(prefix); err != nil {
		return err
	}
	return checkHash(prefix)
}

// hub knows who watches what. Those who watch the same are told by the same look.
type hub struct {
	mu      sync.Mutex
	watched map[string]*watched // by prefix
	poked   chan struct{}       // there is something new to look at
	looking bool
	closed  bool
}

// watched is one prefix, its watchers and what is known of it.
type watched struct {
	prefix   string
	places   []place
	byKey    bool
	every    time.Duration
	watchers map[*watcher]struct{}

	due   time.Time
	away  int                       // looks that failed in a row
	known map[string]store.Revision // by key; nil before the first look
}

type watcher struct {
	prefix string
	hints  chan struct{} // of length 1: a hint that was not taken yet stands for all that follow
}

func (w *watched) hint() {
	for each := range w.watchers {
		each.hint()
	}
}

func (w *watcher) hint() {
	select {
	case w.hints <- struct{}{}:
	default:
	}
}

func (h *hub) add(prefix string, start func()) (*watcher, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, store.ErrClosed
	}
	all := h.watched[prefix]
	if all == nil {
		all = &watched{prefix: prefix, places: placesOf(prefix), watchers: map[*watcher]struct{}{}}
		all.every, all.byKey = pace(prefix)
		h.watched[prefix] = all
	}
	// The next look is one before which the watcher knows nothing: it hints, whatever it finds.
	all.known, all.due = nil, time.Time{}
	w := &watcher{prefix: prefix, hints: make(chan struct{}, 1)}
	w.hint()
	all.watchers[w] = struct{}{}
	if !h.looking {
		h.looking = true
		start()
	}
	h.poke()
	return w, nil
}

func (h *hub) poke() {
	select {
	case h.poked <- struct{}{}:
	default:
	}
}

func (h *hub) remove(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.watched[w.prefix]
	if all == nil {
		return
	}
	if _, ok := all.watchers[w]; !ok {
		return
	}
	delete(all.watchers, w)
	close(w.hints)
	if len(all.watchers) == 0 {
		delete(h.watched, w.prefix)
		h.poke()
	}
}

func (h *hub) closeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for prefix, all := range h.watched {
		for w := range all.watchers {
			delete(all.watchers, w) // a look under way may still hint
			close(w.hints)
		}
		delete(h.watched, prefix)
	}
}

// wrote hints those who watch key, and keeps the next look from hinting them again.
func (h *hub) wrote(key string, r store.Revision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for prefix, w := range h.watched {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		if w.known != nil && (!w.byKey || key == prefix) {
			w.known[key] = max(w.known[key], r)
		}
		w.hint()
	}
}

// next are the watches that are due, with those that nearly are, and how long to wait if none is. ok is false when
// nobody watches any more: the looking ends.
func (h *hub) next(now time.Time) (due []*watched, wait time.Duration, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.watched) == 0 {
		h.looking = false
		return nil, 0, false
	}
	wait = longestAway
	for _, w := range h.watched {
		wait = min(wait, w.due.Sub(now))
	}
	if wait > 0 {
		return nil, wait, true
	}
	for _, w := range h.watched {
		if w.due.Sub(now) <= min(together, w.every/2) {
			due = append(due, w)
		}
	}
	return due, 0, true
}

// found takes over what a look has seen and hints who is concerned.
func (h *hub) found(w *watched, seen map[string]store.Revision, units float64, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	changed := w.known == nil
	for key, r := range seen {
		// A look may see less than was seen before: it is not a consistent one, which would cost twice as much.
		if before := w.known[key]; r > before {
			changed = true
		} else {
			seen[key] = before
		}
	}
	w.known, w.away = seen, 0
	w.due = now.Add(max(w.every, time.Duration(units/maxRate*float64(time.Second))))
	if changed {
		w.hint()
	}
}

// failed waits longer and longer. Who watches is told once: he will meet the error himself, and tell it to somebody.
func (h *hub) failed(w *watched, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w.away == 0 {
		w.hint()
	}
	w.away++
	w.due = now.Add(min(w.every<<min(w.away, 10), longestAway))
}

// look looks at what is watched, when it is due, until nobody watches.
func (s *Store) look() {
	for s.closing.Err() == nil {
		due, wait, ok := s.hub.next(time.Now())
		if !ok {
			return
		}
		if len(due) == 0 {
			select {
			case <-s.closing.Done():
			case <-s.hub.poked:
			case <-time.After(wait):
			}
			continue
		}
		s.lookAt(due)
	}
}

// lookAt asks for all keys in as few calls as they take, and for each span by one of its own, side by side.
func (s *Store) lookAt(due []*watched) {
	ctx, cancel := context.WithTimeout(s.closing, lookTime)
	defer cancel()
	var byKey []*watched
	var wg sync.WaitGroup
	limit := make(chan struct{}, 4)
	side := func(f func()) {
		wg.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			f()
		})
	}
	for _, w := range due {
		if w.byKey {
			byKey = append(byKey, w)
			continue
		}
		side(func() { s.lookAtSpan(ctx, w) })
	}
	for len(byKey) > 0 {
		n := min(len(byKey), maxBatch)
		batch := byKey[:n]
		byKey = byKey[n:]
		side(func() { s.lookAtKeys(ctx, batch) })
	}
	wg.Wait()
}

func (s *Store) lookAtSpan(ctx context.Context, w *watched) {
	seen, units := map[string]store.Revision{}, 0.0
	for _, p := range w.places {
		v := values{":pk": text(p.hash)}
		condition := "#pk = :pk"
		if p.sort != "" {
			condition += " AND begins_with(#sk, :prefix)"
			v[":prefix"] = text(p.sort)
		}
		pages := dynamodb.NewQueryPaginator(s.client, &dynamodb.QueryInput{
			TableName: &s.table, KeyConditionExpression: &condition, ProjectionExpression: projection,
			ExpressionAttributeNames: names(&condition, projection), ExpressionAttributeValues: v, ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
		})
		for pages.HasMorePages() {
			out, err := pages.NextPage(ctx)
			if err != nil {
				s.hub.failed(w, time.Now())
				return
			}
			if c := out.ConsumedCapacity; c != nil {
				units += aws.ToFloat64(c.CapacityUnits)
			}
			note(seen, out.Items)
		}
	}
	s.hub.found(w, seen, units, time.Now())
}

func (s *Store) lookAtKeys(ctx context.Context, batch []*watched) {
	places := make([]place, 0, len(batch))
	for _, w := range batch {
		places = append(places, w.places[0])
	}
	seen := map[string]store.Revision{}
	// What is not answered for want of throughput is asked for again at the next look.
	out, err := s.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
		s.table: {Keys: keysOf(places), ProjectionExpression: projection, ExpressionAttributeNames: names(projection)},
	}})
	if err == nil {
		note(seen, out.Responses[s.table])
	}
	missed := map[string]bool{}
	if out != nil {
		for _, key := range out.UnprocessedKeys[s.table].Keys {
			if sort, ok := key[attrSort].(*types.AttributeValueMemberS); ok {
				missed[sort.Value] = true
			}
		}
	}
	for _, w := range batch {
		if err != nil || missed[w.places[0].sort] {
			s.hub.failed(w, time.Now())
			continue
		}
		own := map[string]store.Revision{}
		if r, ok := seen[w.prefix]; ok {
			own[w.prefix] = r
		}
		s.hub.found(w, own, 0, time.Now())
	}
}

// note keeps the revisions of a page. Deleted items are among them: a deletion is a revision more.
func note(seen map[string]store.Revision, page []map[string]types.AttributeValue) {
	for _, attrs := range page {
		if i, err := decode(attrs); err == nil {
			seen[i.entry().Key] = i.revision
		}
	}
}
