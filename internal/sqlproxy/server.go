package sqlproxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// dialTime bounds a connection's making, log-in included: on a farm's network it takes a millisecond or two.
	dialTime = 2 * time.Second
	// askTime bounds the proxy's own statements, which are answered from memory.
	askTime = 5 * time.Second
)

// link is what a server's connection must have in common with the client that it is used for.
type link struct {
	caps      uint32 // of sharedCaps
	collation byte
	// named: it has a default database, which cannot be taken back.
	named bool
}

// server is one connection to a server. It is used by one session at a time.
type server struct {
	*stream
	of      *backend
	link    link
	thread  uint32
	status  uint16
	version string
	mode    string // sql_mode at its start

	db      string // default database, as the server tells it
	fresh   bool   // nothing of a session's has been set on it
	reads   bool   // its transactions are read-only
	spoiled bool   // it differs from others of its link for good
	applied int    // of the session's settings, see session.settings
	idle    time.Time
}

// lost is an error of the connection to a server, as opposed to the client's.
type lost struct{ err error }

func (l lost) Error() string { return l.err.Error() }
func (l lost) Unwrap() error { return l.err }

// dial connects and logs in.
func (b *backend) dial(ctx context.Context, l link) (*server, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", b.address)
	if err != nil {
		return nil, lost{err}
	}
	s := &server{stream: newStream(c), of: b, link: l, fresh: true}
	deadline, _ := ctx.Deadline()
	_ = s.SetDeadline(deadline)
	if err := s.login(b.proxy.config().User, b.proxy.config().Password); err != nil {
		c.Close()
		var r *Refusal
		if errors.As(err, &r) {
			return nil, r
		}
		return nil, lost{fmt.Errorf("logging in at %s: %w", b.address, err)}
	}
	if err := s.setUp(); err != nil {
		c.Close()
		return nil, err
	}
	_ = s.SetDeadline(time.Time{})
	return s, nil
}

func (s *server) login(user, password string) error {
	p, err := s.packet(biggest)
	if err != nil {
		return err
	}
	p = p[4:]
	if len(p) > 0 && p[0] == 0xff {
		r, err := parseRefusal(p)
		if err != nil {
			return err
		}
		return r
	}
	salt, plugin, err := s.greeting(p)
	if err != nil {
		return err
	}
	answer, err := answerTo(plugin, salt, password)
	if err != nil { // it is told that we would rather have another
		plugin = nativePassword
		answer = scramble(salt, password)
	}
	caps := s.link.caps | capMySQL | capLongFlag | capProtocol41 | capTransactions | capSecureConnection | capPluginAuth | capSessionTrack
	b := binary.LittleEndian.AppendUint32(nil, caps)
	b = binary.LittleEndian.AppendUint32(b, 1<<30)
	b = append(b, s.link.collation)
	b = append(b, make([]byte, 23)...)
	b = append(append(b, user...), 0)
	b = append(append(b, byte(len(answer))), answer...)
	b = append(append(b, plugin...), 0)
	if _, err := s.Write(frame(1, b)); err != nil {
		return err
	}
	return s.authenticate(salt, password)
}

// greeting reads what a server says first. See https://mariadb.com/kb/en/connection/.
func (s *server) greeting(p []byte) (salt []byte, plugin string, err error) {
	if len(p) < 1 || p[0] != 10 {
		return nil, "", errMalformed
	}
	end := bytes.IndexByte(p, 0)
	if end < 0 || len(p) < end+32 {
		return nil, "", errMalformed
	}
	s.version = string(p[1:end])
	p = p[end+1:]
	s.thread = binary.LittleEndian.Uint32(p)
	salt = append(salt, p[4:12]...)
	s.status = binary.LittleEndian.Uint16(p[16:])
	rest := p[31:]
	if len(rest) < 12 {
		return nil, "", errMalformed
	}
	salt = append(salt, rest[:12]...)
	rest = rest[12:]
	if len(rest) > 1 {
		plugin = string(bytes.TrimRight(rest[1:], "\x00"))
	}
	return salt, plugin, nil
}

// authenticate answers the server's questions until it says OK.
func (s *server) authenticate(salt []byte, password string) error {
	var plugin string
	for range 8 {
		p, err := s.packet(biggest)
		if err != nil {
			return err
		}
		seq, body := p[3], p[4:]
		if len(body) == 0 {
			return errMalformed
		}
		switch body[0] {
		case 0:
			o, err := parseOK(body)
			s.status = o.status
			return err
		case 0xff:
			r, err := parseRefusal(body)
			if err != nil {
				return err
			}
			return r
		case 0xfe:
			name, rest, _ := bytes.Cut(body[1:], []byte{0})
			plugin, salt = string(name), append([]byte(nil), bytes.TrimSuffix(rest, []byte{0})...)
			answer, err := answerTo(plugin, salt, password)
			if err != nil {
				return err
			}
			if _, err := s.Write(frame(seq+1, answer)); err != nil {
				return err
			}
		case 1:
			var answer []byte
			switch {
			case len(body) == 2 && body[1] == 3: // it knows the password; OK follows
				continue
			case len(body) == 2 && body[1] == 4: // it does not: ask for its key
				answer = []byte{2}
			default:
				if answer, err = sealPassword(body[1:], salt, password); err != nil {
					return err
				}
			}
			if _, err := s.Write(frame(seq+1, answer)); err != nil {
				return err
			}
		default:
			return errMalformed
		}
	}
	return errors.New("the server goes on asking for a password")
}

// isMySQL tells MySQL from MariaDB.
func (s *server) isMySQL() bool { return !strings.Contains(s.version, "MariaDB") }

// tracking makes the server tell the GTID of what was committed.
func (s *server) tracking() string {
	if s.isMySQL() {
		return "SET SESSION session_track_gtids=OWN_GTID, session_track_schema=ON"
	}
	return "SET SESSION session_track_system_variables='last_gtid', session_track_schema=ON"
}

func (s *server) setUp() error {
	if _, err := s.ask(s.tracking()); err != nil {
		return err
	}
	mode, err := s.ask("SELECT @@sql_mode")
	s.mode = strings.ToLower(mode)
	return err
}

// ask sends a statement of the proxy's own and returns the first value of its result, "" for none. A Refusal leaves the
// connection as it was; anything else has lost it.
func (s *server) ask(sql string) (string, error) {
	if err := s.SetDeadline(time.Now().Add(askTime)); err != nil {
		return "", lost{err}
	}
	if _, err := s.Write(frame(0, append([]byte{comQuery}, sql...))); err != nil {
		return "", lost{err}
	}
	v, err := s.answer()
	if err == nil {
		err = s.SetDeadline(time.Time{})
	}
	var r *Refusal
	if err != nil && !errors.As(err, &r) {
		return v, lost{fmt.Errorf("%s: %w", sql, err)}
	}
	if r != nil {
		_ = s.SetDeadline(time.Time{})
	}
	return v, err
}

// answer reads a small result.
func (s *server) answer() (value string, err error) {
	p, err := s.packet(biggest)
	if err != nil {
		return "", err
	}
	switch body := p[4:]; {
	case len(body) == 0:
		return "", errMalformed
	case body[0] == 0xff:
		r, err := parseRefusal(body)
		if err != nil {
			return "", err
		}
		return "", r
	case body[0] == 0:
		o, err := parseOK(body)
		s.take(o)
		return "", err
	}
	for ends, rows := 0, 0; ends < 2; {
		if p, err = s.packet(biggest); err != nil {
			return "", err
		}
		switch body := p[4:]; {
		case len(body) == 0:
			return "", errMalformed
		case body[0] == 0xff:
			r, err := parseRefusal(body)
			if err != nil {
				return "", err
			}
			return "", r
		case body[0] == 0xfe && len(body) < 9:
			ends++
			if len(body) >= 5 {
				s.status = binary.LittleEndian.Uint16(body[3:])
			}
		case ends == 1:
			if rows++; rows == 1 && body[0] != 0xfb {
				text, _, err := cutText(body)
				if err != nil {
					return "", err
				}
				value = string(text)
			}
		}
	}
	return value, nil
}

// take keeps what an OK packet tells of the connection.
func (s *server) take(o okay) {
	s.status = o.status
	if o.schema != nil {
		s.db = *o.schema
	}
}

// reset makes the connection as it was after its making, but for its default database.
func (s *server) reset() error {
	_ = s.SetDeadline(time.Now().Add(askTime))
	both := append(frame(0, []byte{comResetConnection}), frame(0, append([]byte{comQuery}, s.tracking()...))...)
	if _, err := s.Write(both); err != nil {
		return err
	}
	for range 2 {
		if _, err := s.answer(); err != nil {
			return err
		}
	}
	s.fresh, s.reads, s.applied = true, false, 0
	return s.SetDeadline(time.Time{})
}

// use makes db the default database.
func (s *server) use(db string) error {
	if db == "" || db == s.db {
		return nil
	}
	_ = s.SetDeadline(time.Now().Add(askTime))
	if _, err := s.Write(frame(0, append([]byte{comInitDB}, db...))); err != nil {
		return lost{err}
	}
	_, err := s.answer()
	_ = s.SetDeadline(time.Time{})
	var r *Refusal
	switch {
	case errors.As(err, &r):
		return err
	case err != nil:
		return lost{err}
	}
	s.db = db
	return nil
}

// wait returns whether the server has what position says, within limit.
func (s *server) wait(position string, limit time.Duration) (bool, error) {
	if position == "" {
		return true, nil
	}
	seconds := strconv.FormatFloat(limit.Seconds(), 'f', 3, 64)
	sql := "SELECT MASTER_GTID_WAIT('" + position + "'," + seconds + ")"
	if s.isMySQL() {
		sql = "SELECT WAIT_FOR_EXECUTED_GTID_SET('" + position + "'," + seconds + ")"
	}
	v, err := s.ask(sql)
	return err == nil && v == "0", err
}

// alive looks whether the server has closed the connection, or said something unasked, which is that it closes it.
func (s *server) alive() bool {
	if s.w != s.r {
		return false
	}
	c, ok := s.Conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	alive := false
	err = raw.Read(func(fd uintptr) bool {
		var one [1]byte
		n, err := syscall.Read(int(fd), one[:])
		alive = n < 0 && (err == syscall.EAGAIN || err == syscall.EWOULDBLOCK)
		return true
	})
	return err == nil && alive
}
