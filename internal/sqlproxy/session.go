package sqlproxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"sync/atomic"
	"time"
)

// errEnded ends a session that has been told why.
var errEnded = errors.New("the session has ended")

// session is one client. Everything but endIdle is its own goroutine's.
type session struct {
	p      *Proxy
	client *stream
	number uint32
	link   link
	salt   []byte
	seq    byte // of the next packet to the client
	busy   atomic.Bool

	// What is carried to another server.
	db         string
	set        settings
	insertID   uint64
	status     uint16 // as the primary said last
	statements map[uint32]*statement
	next       uint32 // number of the last statement prepared

	pin  string // why reads stay on the primary
	root string // why the session cannot be carried on

	primary, replica *server
	epoch            int64   // of the topology that replica was chosen in
	last             *server // who answered last
	scratch          []byte  // fingerprint
}

// run serves the client to its end.
func (s *session) run() {
	s.p.counts.clients.Add(1)
	s.startOver()
	defer s.end()
	if ok, err := s.login(); err != nil || !ok {
		return
	}
	for {
		if s.p.isClosing() && !s.inTransaction() {
			return
		}
		s.busy.Store(false)
		raw, err := s.client.command(s.p.config().MaxPacket)
		s.busy.Store(true)
		if err != nil {
			if errors.Is(err, errTooLarge) {
				s.seq = 1
				s.refuse(&Refusal{1153, "08S01", "Got a packet bigger than the proxy's max_packet"})
			}
			return
		}
		s.seq = raw[3] + 1
		if err := s.command(raw); err != nil {
			return
		}
	}
}

// endIdle ends a session that waits for its client's next word.
func (s *session) endIdle() {
	if !s.busy.Load() {
		s.client.Close()
	}
}

func (s *session) end() {
	s.client.Close()
	s.release()
}

// release gives the servers' connections back.
func (s *session) release() {
	for _, x := range []*server{s.primary, s.replica} {
		if x != nil {
			x.of.put(x)
		}
	}
	s.primary, s.replica, s.last = nil, nil, nil
}

// startOver makes the session what it was after its log-in.
func (s *session) startOver() {
	s.release()
	s.set, s.insertID, s.statements, s.pin, s.root = settings{}, 0, map[uint32]*statement{}, "", ""
	s.status = statusAutocommit
	if !plainCollation(s.link.collation) && s.link.collation != 0 {
		s.pin = "the character set of its log-in"
	}
}

func (s *session) inTransaction() bool { return s.status&statusInTransaction != 0 }

// command carries one command out. Its error ends the session.
func (s *session) command(raw []byte) error {
	if len(raw) < 5 {
		s.refuse(&Refusal{1047, "08S01", "Unknown command"})
		return errEnded
	}
	body := raw[5:]
	switch raw[4] {
	case comQuery:
		var k class
		k, s.scratch = s.p.classes.of(body, s.scratch)
		return s.query(raw, k)
	case comQuit:
		return errEnded
	case comPing:
		return s.okay()
	case comInitDB:
		return s.onPrimary(raw, ofQuery, class{part: true, repeatable: true}, nil)
	case comFieldList:
		return s.onPrimary(raw, ofFetch, class{part: true, repeatable: true}, nil)
	case comStatistics, comDebug, comProcessKill:
		return s.onPrimary(raw, ofOne, class{part: true}, nil)
	case comProcessInfo:
		return s.onPrimary(raw, ofQuery, class{part: true, repeatable: true}, nil)
	case comSetOption:
		return s.setOption(raw)
	case comResetConnection:
		db := s.db
		s.startOver()
		s.db = db
		return s.okay()
	case comChangeUser:
		return s.changeUser(body)
	case comStmtPrepare:
		return s.prepare(raw)
	case comStmtExecute, comStmtFetch, comStmtReset, comStmtSendLongData, comStmtClose:
		return s.prepared(raw)
	}
	s.refuse(&Refusal{1047, "08S01", "Unknown command (to the proxy)"})
	return nil
}

// query routes a statement.
func (s *session) query(raw []byte, k class) error {
	if k.status {
		return s.table(s.p.Status().rows())
	}
	if s.last == s.replica && s.replica != nil && k.follow {
		return s.afterward(raw)
	}
	if k.read && s.splits() {
		done, err := s.onReplica(raw)
		if done || err != nil {
			return err
		}
	}
	return s.onPrimary(raw, ofQuery, k, raw[5:])
}

// splits tells whether the session's reads may leave the primary now.
func (s *session) splits() bool {
	return s.pin == "" && s.status&(statusInTransaction|statusAutocommit|statusNoBackslash) == statusAutocommit && !systemSchemas(upper(s.db))
}

// afterward asks the replica about the statement that it answered last.
func (s *session) afterward(raw []byte) error {
	x := relay{client: s.client, server: s.replica, kind: ofQuery}
	err := s.exchange(&x, raw)
	if isLost(err) {
		s.loseReplica()
		if x.sent {
			return s.broken(&x)
		}
		s.refuse(&Refusal{1927, "70100", "The server that answered the statement before was lost, and what it knew of it"})
		return nil
	}
	return err
}

// exchange sends a command and forwards its answer.
func (s *session) exchange(x *relay, raw []byte) error {
	s.last = x.server
	if n, err := x.server.Write(raw); err != nil {
		// It may have said why before it closed.
		_ = x.server.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if n == 0 || x.run() != nil || x.refusal == nil {
			return lost{unsent{err}}
		}
		return nil
	}
	return x.run()
}

// unsent is a loss before the server can have had the whole command: it was not carried out.
type unsent struct{ error }

// onReplica tries replicas; false: the primary is to answer.
func (s *session) onReplica(raw []byte) (done bool, err error) {
	for tries := 0; tries < 4; tries++ {
		r := s.readFrom()
		if r == nil {
			return false, nil
		}
		x := relay{client: s.client, server: r, kind: ofQuery, hold: notForReplicas}
		r.of.counts.reads.Add(1)
		err := s.exchange(&x, raw)
		switch {
		case isLost(err):
			s.loseReplica()
			if x.sent {
				return true, s.broken(&x)
			}
			s.p.counts.retried.Add(1)
			continue
		case err != nil:
			return true, err
		case x.refusal != nil && !x.sent:
			if ending(x.refusal) {
				s.loseReplica()
				s.p.counts.retried.Add(1)
				continue
			}
			return false, nil // it was no read after all
		}
		return true, nil
	}
	return false, nil
}

// notForReplicas are errors that the primary would not have given: the replica ends, or what was taken for a read wrote.
func notForReplicas(r *Refusal) bool { return ending(r) || readOnly(r) || r.Code == 1792 }

// ending tells that the server, or its connection, ends: 1053 shutdown, 1927 and 3169 the connection was killed, 1077 and
// 1079 shutdown, 4031 and 1159 timeouts.
func ending(r *Refusal) bool {
	switch r.Code {
	case 1053, 1077, 1079, 1927, 3169, 4031:
		return true
	}
	return false
}

// readOnly tells a refusal because the server is no primary: 1290 has other meanings too.
func readOnly(r *Refusal) bool {
	return r.Code == 1836 || r.Code == 1290 && (bytes.Contains([]byte(r.Message), []byte("read-only")) || bytes.Contains([]byte(r.Message), []byte("read_only")))
}

// readFrom is a replica's connection that is up to date for this session, nil for none.
func (s *session) readFrom() *server {
	t := s.p.topology.Load()
	need := s.p.positions.get()
	if len(t.replicas) == 0 || !need.known {
		return nil
	}
	if s.replica != nil && s.epoch != t.epoch {
		// Others may have come: a session that lasts would never see them.
		s.replica.of.put(s.replica)
		s.replica = nil
	}
	if s.replica == nil && !s.choose(t) {
		return nil
	}
	b := s.replica.of
	if b.reached.Load() < need.version {
		if time.Now().UnixNano() < b.behindUntil.Load() {
			b.counts.behind.Add(1)
			return nil
		}
		ok, err := s.replica.wait(need.text, s.p.config().Wait.Std())
		switch {
		case isLost(err):
			s.loseReplica()
			return nil
		case !ok:
			b.counts.behind.Add(1)
			b.behindUntil.Store(time.Now().Add(behindTime).UnixNano())
			return nil
		}
		raise(&b.reached, need.version)
	}
	if s.replica.db == s.db && s.replica.applied == s.set.version || s.carry(s.replica, true) {
		return s.replica
	}
	return nil
}

func raise(v *atomic.Int64, to int64) {
	for now := v.Load(); now < to && !v.CompareAndSwap(now, to); now = v.Load() {
	}
}

// choose takes a replica, the next in turn.
func (s *session) choose(t *topology) bool {
	turn := int(s.p.turn.Add(1) % uint64(len(t.replicas)))
	for i := range t.replicas {
		b := t.replicas[(turn+i)%len(t.replicas)]
		if time.Now().UnixNano() < b.restUntil.Load() {
			continue
		}
		l := s.link
		l.named = s.db != ""
		x, err := b.get(s.p.ctx, l)
		if err != nil {
			b.rest()
			continue
		}
		if !splitsIn(x.mode) {
			b.put(x)
			s.pin = "the servers' sql_mode"
			return false
		}
		s.replica, s.epoch = x, t.epoch
		return s.carry(x, true)
	}
	return false
}

// carry makes a replica's connection what the session is. False: the primary is to be used.
func (s *session) carry(x *server, replica bool) bool {
	err := s.equip(x, replica)
	if isLost(err) {
		s.loseReplica()
		return false
	}
	return err == nil
}

// equip sets on a connection what the session has set.
func (s *session) equip(x *server, replica bool) error {
	if replica && !x.reads {
		// Whatever is taken for a read by mistake is refused there, and goes to the primary.
		if _, err := x.ask("SET SESSION TRANSACTION READ ONLY"); err != nil {
			return err
		}
		x.reads = true
	}
	if err := x.use(s.db); err != nil {
		return err
	}
	if x.applied != s.set.version {
		x.fresh = false
		for _, o := range s.set.all {
			if _, err := x.ask(o.text); err != nil {
				return err
			}
		}
		x.applied = s.set.version
	}
	return nil
}

func (s *session) loseReplica() {
	if s.replica == nil {
		return
	}
	s.replica.of.failed()
	s.replica.of.rest()
	s.replica.of.drop(s.replica)
	s.replica = nil
}

// broken ends an answer of which the client has a part already: with an error where the next packet may be one.
func (s *session) broken(x *relay) error {
	if !x.boundary {
		return errEnded
	}
	s.seq = x.seq + 1
	s.refuse(&Refusal{1927, "70100", "The server was lost in the middle of its answer"})
	return nil
}

// took takes over what the primary answered.
func (s *session) took(x *server, k class, a *answered, text []byte) {
	s.status = x.status
	if a.okay || a.result {
		s.status = a.status
		x.status = a.status
	}
	if a.insertID != 0 {
		s.insertID = a.insertID
	}
	s.db = x.db
	if s.pin == "" {
		s.pin = k.pin
	}
	if s.root == "" {
		s.root = k.root
	}
	if k.mirror && a.refusal == nil {
		s.remember(x, text)
	}
}

// remember keeps a SET statement for other servers; x has it already.
func (s *session) remember(x *server, text []byte) {
	current := x.applied == s.set.version
	f := scan(text, s.scratch).fingerprint
	if !s.set.add(string(f), string(text)) {
		s.pin, s.root = "too many SET statements", "too many SET statements"
		return
	}
	if current {
		x.applied = s.set.version
	}
}

func (s *session) setOption(raw []byte) error {
	if err := s.onPrimary(raw, ofOne, class{part: true, repeatable: true}, nil); err != nil {
		return err
	}
	if len(raw) >= 7 {
		// Connections differ by it: whoever gets this one must have asked for the same.
		s.root = "COM_SET_OPTION"
		if s.primary != nil {
			s.primary.spoiled = true
		}
	}
	return nil
}

// okay answers by the proxy itself.
func (s *session) okay() error {
	_, err := s.client.Write(frame(s.seq, okay{status: s.status}.append(nil)))
	return err
}

func (s *session) refuse(r *Refusal) { _, _ = s.client.Write(frame(s.seq, r.append(nil))) }

// table answers with two columns of text.
func (s *session) table(rows [][2]string) error {
	var b []byte
	add := func(payload []byte) { b = append(b, frame(s.seq, payload)...); s.seq++ }
	add([]byte{2})
	for _, name := range []string{"Variable_name", "Value"} {
		p := appendText(nil, "def")
		for _, part := range []string{"", "", "", name, name} {
			p = appendText(p, part)
		}
		add(append(p, 0x0c, 45, 0, 0, 4, 0, 0, 0xfd, 0, 0, 0, 0, 0))
	}
	eof := binary.LittleEndian.AppendUint16([]byte{0xfe, 0, 0}, s.status)
	add(eof)
	for _, r := range rows {
		add(appendText(appendText(nil, r[0]), r[1]))
	}
	add(eof)
	_, err := s.client.Write(b)
	return err
}

func appendText(b []byte, s string) []byte { return append(appendLenenc(b, uint64(len(s))), s...) }

// prepare is COM_STMT_PREPARE.
func (s *session) prepare(raw []byte) error {
	st := &statement{text: bytes.Clone(raw)}
	st.class, s.scratch = s.p.classes.of(raw[5:], s.scratch)
	s.next++
	number := s.next
	return s.call(call{raw: raw, kind: ofPrepare, class: class{part: true, repeatable: true}, number: number, after: func(x *relay) {
		if x.refusal == nil {
			st.prepared, st.on = x.prepared, x.server
			s.statements[number] = st
		}
	}})
}

// prepared carries out a command about a prepared statement.
func (s *session) prepared(raw []byte) error {
	if len(raw) < 9 {
		s.refuse(&Refusal{1047, "08S01", "Malformed command"})
		return errEnded
	}
	number := binary.LittleEndian.Uint32(raw[5:])
	silent := raw[4] == comStmtClose || raw[4] == comStmtSendLongData
	st := s.statements[number]
	if st == nil {
		if silent {
			return nil
		}
		s.refuse(&Refusal{1243, "HY000", "Unknown prepared statement handler (" + strconv.Itoa(int(number)) + ") given to the proxy"})
		return nil
	}
	if raw[4] == comStmtClose {
		delete(s.statements, number)
		if st.on != nil && st.on == s.primary {
			binary.LittleEndian.PutUint32(raw[5:], st.id)
			_, _ = s.primary.Write(raw) // a loss shows at the next command
		}
		return nil
	}
	// Where the statement is not known yet it is prepared first.
	k := st.class
	k.mirror = false
	if k.set {
		k = notUnderstood("SET by a prepared statement")
	}
	switch raw[4] {
	case comStmtSendLongData:
		x, r, err := s.primaryServer(true)
		if err != nil || r != nil || s.again(st, x) != nil {
			return err // there is no answer to this command; the execution tells
		}
		st.long = true
		binary.LittleEndian.PutUint32(raw[5:], st.id)
		_, _ = x.Write(raw)
		return nil
	case comStmtExecute:
		long := st.long
		st.long = false
		if long {
			if s.primary == nil || st.on != s.primary {
				s.refuse(&Refusal{1927, "70100", "The server that had been sent a part of the statement's parameters was lost"})
				return nil
			}
			k.repeatable = false
		}
		return s.call(call{raw: raw, kind: ofQuery, class: k, st: st})
	case comStmtFetch:
		if st.on != s.primary || s.primary == nil {
			s.refuse(&Refusal{1927, "70100", "The server that had the cursor was lost"})
			return nil
		}
		return s.call(call{raw: raw, kind: ofFetch, class: class{part: true}, st: st})
	}
	return s.call(call{raw: raw, kind: ofQuery, class: class{part: true, repeatable: true}, st: st})
}

// again makes the statement known to a server.
func (s *session) again(st *statement, x *server) error {
	if st.on == x {
		return nil
	}
	if _, err := x.Write(st.text); err != nil {
		return lost{unsent{err}}
	}
	r := relay{client: &stream{Conn: discard{}}, server: x, kind: ofPrepare}
	if err := r.run(); err != nil {
		return err
	}
	if r.refusal != nil {
		return r.refusal
	}
	st.prepared, st.on = r.prepared, x
	return nil
}
