package sqlite

import (
	"context"
	"database/sql"
	"strings"
	"sync"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// pollEvery is how often another process's writes are looked for while somebody watches. The look is one read of
// shared memory, some twenty microseconds; agents are to know of a change within about a tenth of a second.
const pollEvery = 100 * time.Millisecond

// Watch hints at once of this Store's own writes, and within pollEvery of those of others.
func (s *Store) Watch(ctx context.Context, prefix string) (<-chan struct{}, error) {
	if err := store.CheckPrefix(prefix); err != nil {
		return nil, err
	}
	w, err := s.hub.add(prefix, s.startPolling)
	if err != nil {
		return nil, s.fail(ctx, "watching", prefix, err)
	}
	context.AfterFunc(ctx, func() { s.hub.remove(w) })
	return w.hints, nil
}

// hub knows who watches what. Its poller runs while anybody does.
type hub struct {
	mu       sync.Mutex
	watchers map[*watcher]struct{}
	closed   bool
	stop     func() // ends the poller; nil while there is none
}

type watcher struct {
	prefix string
	hints  chan struct{} // of length 1: a hint that was not taken yet stands for all that follow
}

func (w *watcher) hint() {
	select {
	case w.hints <- struct{}{}:
	default:
	}
}

// add registers a watcher, with its first hint, and starts the poller for the first one. Polling starts from the
// state before add returns, so that nothing falls between the watcher's first list and the first poll.
func (h *hub) add(prefix string, start func() (stop func(), err error)) (*watcher, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, store.ErrClosed
	}
	if h.stop == nil {
		stop, err := start()
		if err != nil {
			return nil, err
		}
		h.stop = stop
	}
	w := &watcher{prefix: prefix, hints: make(chan struct{}, 1)}
	w.hint()
	h.watchers[w] = struct{}{}
	return w, nil
}

func (h *hub) remove(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.watchers[w]; !ok {
		return
	}
	delete(h.watchers, w)
	close(w.hints)
	if len(h.watchers) == 0 {
		h.stop()
		h.stop = nil
	}
}

func (h *hub) closeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for w := range h.watchers {
		delete(h.watchers, w)
		close(w.hints)
	}
	if h.stop != nil {
		h.stop()
		h.stop = nil
	}
}

// notify hints those who watch key, notifyAll everybody.
func (h *hub) notify(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		if strings.HasPrefix(key, w.prefix) {
			w.hint()
		}
	}
}

func (h *hub) notifyAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		w.hint()
	}
}

// startPolling runs a poller until stop is called.
func (s *Store) startPolling() (stop func(), err error) {
	p, err := s.newPoller(context.Background())
	if err != nil {
		return nil, err
	}
	done := make(chan struct{})
	s.background.Go(func() {
		defer p.conn.Close()
		ticker := time.NewTicker(pollEvery)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				p.poll(context.Background())
			}
		}
	})
	return sync.OnceFunc(func() { close(done) }), nil
}

// poller finds what other connections committed. SQLite's data_version is a connection's own: it moves when any
// other one has committed, so the poller keeps one connection to itself.
type poller struct {
	store   *Store
	conn    *sql.Conn
	version int64          // data_version at the last poll
	last    store.Revision // greatest revision seen
}

func (s *Store) newPoller(ctx context.Context) (*poller, error) {
	conn, err := s.reader.Conn(ctx)
	if err != nil {
		return nil, err
	}
	p := &poller{store: s, conn: conn}
	if p.version, err = p.dataVersion(ctx); err == nil {
		err = conn.QueryRowContext(ctx, "SELECT coalesce(max(revision), 0) FROM change").Scan(&p.last)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return p, nil
}

func (p *poller) dataVersion(ctx context.Context) (v int64, err error) {
	err = p.conn.QueryRowContext(ctx, "PRAGMA data_version").Scan(&v)
	return v, err
}

// poll hints the watchers of what others wrote since the last call. On an error it hints everybody: they will meet
// the error themselves, and tell it to somebody.
func (p *poller) poll(ctx context.Context) {
	version, err := p.dataVersion(ctx)
	if err == nil && version == p.version {
		return
	}
	if err == nil {
		err = p.changes(ctx)
	}
	if err != nil {
		p.store.hub.notifyAll()
		return
	}
	p.version = version
}

func (p *poller) changes(ctx context.Context) error {
	rows, err := p.conn.QueryContext(ctx, "SELECT revision, writer, key FROM change WHERE revision > ? ORDER BY revision", p.last)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var revision store.Revision
		var writer int64
		var key string
		if err := rows.Scan(&revision, &writer, &key); err != nil {
			return err
		}
		if revision != p.last+1 {
			p.store.hub.notifyAll() // rows were pruned before we came to read them
		}
		p.last = revision
		if writer != p.store.id { // of our own writes the watchers know already
			p.store.hub.notify(key)
		}
	}
	return rows.Err()
}
