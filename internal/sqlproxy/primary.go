package sqlproxy

import (
	"errors"
	"net"
	"strconv"
	"time"
)

// call is one command for the primary.
type call struct {
	raw    []byte
	kind   kind
	class  class
	text   []byte     // of a statement
	st     *statement // that it executes
	number uint32     // of the statement that it prepares
	after  func(*relay)
}

func (s *session) onPrimary(raw []byte, of kind, k class, text []byte) error {
	return s.call(call{raw: raw, kind: of, class: k, text: text})
}

// call carries a command out on the primary, on the one after it where the first was lost or takes no writes any more.
// See the package's documentation for what is sent twice and what never is.
func (s *session) call(c call) error {
	deadline := time.Now().Add(s.p.config().Hold.Std())
	writes := !c.class.repeatable && !c.class.read
	for {
		x, refusal, err := s.primaryBy(deadline, writes)
		if err != nil {
			return err
		}
		if refusal != nil {
			return s.refused(refusal)
		}
		began := s.inTransaction()
		if writes && !x.alive() {
			// It was closed while nothing was asked of it: it has not had this.
			s.losePrimary()
			if done, err := s.lostWith(c, began, true); done {
				return err
			}
			continue
		}
		rel, err := s.send(c, x, began)
		switch {
		case isLost(err):
			s.losePrimary()
			if rel.sent {
				s.status &^= statusInTransaction
				return s.broken(rel)
			}
			var u unsent
			if done, err := s.lostWith(c, began, errors.As(err, &u)); done {
				return err
			}
		case err != nil:
			var r *Refusal
			if errors.As(err, &r) { // of a statement that the new primary does not take
				s.refuse(r)
				return nil
			}
			return err
		case rel.refusal == nil || rel.sent:
			s.took(x, c.class, &rel.answered, c.text)
			if c.after != nil {
				c.after(rel)
			}
			return nil
		case readOnly(rel.refusal):
			x.of.readOnly.Store(true)
			if began {
				s.losePrimary() // which rolls back
				return s.lostTransaction()
			}
			if time.Now().After(deadline) {
				s.refuse(rel.refusal)
				return nil
			}
		default: // the server ends
			s.losePrimary()
			if done, err := s.lostWith(c, began, false); done {
				return err
			}
		}
	}
}

// send sends a command to x.
func (s *session) send(c call, x *server, began bool) (*relay, error) {
	raw := c.raw
	rel := &relay{
		client: s.client, server: x, kind: c.kind, number: c.number,
		hold: func(r *Refusal) bool { return ending(r) || readOnly(r) },
		ok:   s.wrote,
	}
	if c.st != nil {
		unknown := c.st.on != x
		if err := s.again(c.st, x); err != nil {
			return rel, err
		}
		raw = c.st.execution(raw, unknown)
	}
	if c.kind == ofQuery && !c.class.repeatable && !c.class.read && !c.class.follow && !began {
		rel.end = func() error { s.wroteUntold(x, rel.status); return nil }
	}
	x.fresh = false
	if c.class.read {
		x.of.counts.reads.Add(1)
	} else {
		x.of.counts.writes.Add(1)
	}
	return rel, s.exchange(rel, raw)
}

// wrote keeps what was committed before the client hears of it: whoever reads next, reads it.
func (s *session) wrote(o okay) {
	if o.gtid != "" {
		s.p.positions.add(o.gtid, false)
	}
}

// wroteUntold is for statements with rows that may have written, such as INSERT ... RETURNING and stored functions: their
// end carries no GTID. Another connection is asked, since a question on this one would change what it tells of the last.
func (s *session) wroteUntold(x *server, status uint16) {
	if status&statusInTransaction != 0 {
		return
	}
	other, err := x.of.get(s.p.ctx, link{collation: 45})
	if err != nil {
		s.p.positions.forget()
		return
	}
	whole, err := other.ask(other.everything())
	if err != nil {
		x.of.drop(other)
		s.p.positions.forget()
		return
	}
	x.of.put(other)
	s.p.positions.add(whole, true)
}

// lostWith decides what becomes of a command whose server was lost; not done: it is sent again.
func (s *session) lostWith(c call, began, unsent bool) (done bool, err error) {
	switch {
	case began && c.class.rollback:
		s.status &^= statusInTransaction
		return true, s.okay()
	case began && (c.class.part || c.class.read || unsent):
		return true, s.lostTransaction()
	case s.root != "":
		return true, s.refused(s.rooted())
	case unsent || c.class.repeatable || c.class.read || c.class.rollback:
		s.p.counts.retried.Add(1)
		return false, nil
	}
	s.status &^= statusInTransaction
	s.p.counts.unknown.Add(1)
	s.refuse(&Refusal{1927, "70100", "The primary was lost before it answered: whether the statement took effect is not known"})
	return true, nil
}

// lostTransaction tells what applications know to answer by doing the transaction again: all of it was rolled back.
func (s *session) lostTransaction() error {
	s.status &^= statusInTransaction
	s.p.counts.lostTransactions.Add(1)
	s.refuse(&Refusal{1213, "40001", "The primary was lost and the transaction with it; try restarting transaction"})
	if s.root != "" {
		return errEnded
	}
	return nil
}

// rooted is what a session is told that cannot be carried on.
func (s *session) rooted() *Refusal {
	return &Refusal{1927, "70100", "The primary was lost, and what this connection had there: " + s.root}
}

// refused tells the client; a session that is bound to a lost server ends.
func (s *session) refused(r *Refusal) error {
	s.refuse(r)
	if s.root != "" {
		return errEnded
	}
	return nil
}

func (s *session) losePrimary() {
	if s.primary == nil {
		return
	}
	s.primary.of.failed()
	s.primary.of.drop(s.primary)
	s.primary = nil
}

// primaryServer is primaryBy with the whole time.
func (s *session) primaryServer(writes bool) (*server, *Refusal, error) {
	return s.primaryBy(time.Now().Add(s.p.config().Hold.Std()), writes)
}

// primaryBy is the connection to the primary, made what the session is, waiting for one until deadline.
func (s *session) primaryBy(deadline time.Time, writes bool) (*server, *Refusal, error) {
	held := false
	for {
		if s.p.ctx.Err() != nil {
			return nil, nil, errEnded
		}
		t := s.p.topology.Load()
		if x := s.primary; x != nil {
			if s.inTransaction() {
				return x, nil, nil // to its end, wherever it is
			}
			if x.of != t.primary && t.primary != nil {
				if s.root != "" {
					return nil, s.rooted(), nil
				}
				x.of.drop(x)
				s.primary = nil
				s.p.counts.moved.Add(1)
			}
		}
		if t.primary != nil {
			x, refusal, err := s.reach(t, writes)
			if x != nil || refusal != nil || err != nil {
				return x, refusal, err
			}
		}
		if !held {
			held = true
			s.p.counts.held.Add(1)
		}
		left := time.Until(deadline)
		if left <= 0 {
			return nil, &Refusal{1290, "HY000", "No server of the database takes writes now; the proxy waited for one for " + s.p.config().Hold.String()}, nil
		}
		if !s.p.pause(min(left, holdStep), t.changed) {
			return nil, nil, errEnded
		}
	}
}

// holdStep is between two looks at a primary that does not take statements, where no change of it is told.
const holdStep = 50 * time.Millisecond

// reach makes s.primary a connection to t's primary that takes the statement; nil without a refusal: not now.
func (s *session) reach(t *topology, writes bool) (*server, *Refusal, error) { //nolint:unparam // as who calls it hands it on
	var r *Refusal
	if s.primary == nil {
		l := s.link
		l.named = s.db != ""
		x, err := t.primary.get(s.p.ctx, l)
		if err == nil {
			if err = s.settle(t, x); err != nil {
				t.primary.drop(x)
			}
		}
		if errors.As(err, &r) && !crowded(r) && !ending(r) {
			return nil, r, nil
		}
		if err != nil {
			return nil, nil, nil //nolint:nilerr // not now: the caller waits
		}
		s.primary = x
	}
	x := s.primary
	if !writes || !x.of.readOnly.Load() {
		return x, nil, nil
	}
	// It refused a write; it is asked before the next, since a refusal may get lost with the connection.
	v, err := x.ask("SELECT @@global.read_only")
	switch {
	case isLost(err):
		s.losePrimary()
		if s.root != "" {
			return nil, s.rooted(), nil
		}
		return nil, nil, nil
	case v == "0" || v == "OFF":
		x.of.readOnly.Store(false)
		return x, nil, nil
	}
	return nil, nil, nil
}

// crowded tells that a server has no place for one more connection, which passes.
func crowded(r *Refusal) bool { return r.Code == 1040 || r.Code == 1203 || r.Code == 1226 }

// settle makes a connection to the primary what the session is.
func (s *session) settle(t *topology, x *server) error {
	if err := s.p.learn(t, x); err != nil {
		return err
	}
	if x.reads {
		if err := x.reset(); err != nil {
			return lost{err}
		}
	}
	if !splitsIn(x.mode) && s.pin == "" {
		s.pin = "the servers' sql_mode"
	}
	x.fresh = false
	if err := s.equip(x, false); err != nil {
		return err
	}
	if s.status&statusAutocommit == 0 {
		if _, err := x.ask("SET autocommit=0"); err != nil {
			return err
		}
	}
	if s.insertID != 0 {
		if _, err := x.ask("SELECT LAST_INSERT_ID(" + strconv.FormatUint(s.insertID, 10) + ")"); err != nil {
			return err
		}
	}
	return nil
}

// discard is a client that wants to see nothing.
type discard struct{ net.Conn }

func (discard) Write(b []byte) (int, error) { return len(b), nil }
