package sqlproxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"
)

// loginTime bounds a client's log-in.
const loginTime = 10 * time.Second

// ownNumbers keeps the clients' connection numbers apart from the servers': a KILL with one of ours ends nobody else's.
const ownNumbers = 1 << 31

// offered are the capabilities that clients may use: neither TLS, on this machine's own loopback, nor compression.
const offered = sharedCaps | capMySQL | capLongFlag | capWithDB | capProtocol41 | capTransactions | capSecureConnection |
	capPluginAuth | capConnectAttrs | capPluginAuthData

// asked is what a client said of itself.
type asked struct {
	caps           uint32
	collation      byte
	user, db       string
	answer, plugin []byte
}

// login greets a client and lets it in; false: it was refused, and told.
func (s *session) login() (bool, error) {
	_ = s.client.SetDeadline(time.Now().Add(loginTime))
	s.salt = newSalt()
	b := append([]byte{10}, *s.p.version.Load()...)
	b = append(b, 0)
	b = binary.LittleEndian.AppendUint32(b, ownNumbers+s.number)
	b = append(append(b, s.salt[:8]...), 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(offered&0xffff))
	b = append(b, 45) // utf8mb4_general_ci
	b = binary.LittleEndian.AppendUint16(b, statusAutocommit)
	b = binary.LittleEndian.AppendUint16(b, uint16(offered>>16))
	b = append(b, byte(len(s.salt)+1))
	b = append(b, make([]byte, 10)...)
	b = append(append(b, s.salt[8:]...), 0)
	b = append(append(b, nativePassword...), 0)
	if _, err := s.client.Write(frame(0, b)); err != nil {
		return false, err
	}
	p, err := s.client.packet(1 << 16)
	if err != nil {
		return false, err
	}
	s.seq = p[3] + 1
	a, err := parseLogin(p[4:])
	if err != nil {
		s.refuse(&Refusal{1043, "08S01", "Bad handshake: the proxy speaks the protocol of MySQL 4.1 and later, without TLS"})
		return false, err
	}
	s.link = link{caps: a.caps & sharedCaps, collation: a.collation}
	s.db = a.db
	ok, err := s.admit(a)
	if err != nil || !ok {
		return false, err
	}
	if s.db != "" && !s.p.knowsDB(s.db) {
		// As a server would refuse it now; later, whoever connects with the same name is taken at its word.
		if _, r, err := s.primaryServer(false); err != nil || r != nil {
			if r != nil {
				s.refuse(r)
			}
			return false, err
		}
		s.p.learnDB(s.db)
	}
	_ = s.client.SetDeadline(time.Time{})
	return true, s.okay()
}

// parseLogin reads a client's answer to the greeting.
func parseLogin(p []byte) (a asked, err error) {
	if len(p) < 33 {
		return a, errMalformed
	}
	a.caps = binary.LittleEndian.Uint32(p) & offered
	a.collation = p[8]
	if a.caps&capProtocol41 == 0 || a.caps&capSecureConnection == 0 {
		return a, errMalformed
	}
	user, rest, ok := bytes.Cut(p[32:], []byte{0})
	if !ok {
		return a, errMalformed
	}
	a.user = string(user)
	var answer []byte
	if a.caps&capPluginAuthData != 0 {
		if answer, rest, err = cutText(rest); err != nil {
			return a, err
		}
	} else {
		if len(rest) == 0 || len(rest) < 1+int(rest[0]) {
			return a, errMalformed
		}
		answer, rest = rest[1:1+rest[0]], rest[1+rest[0]:]
	}
	a.answer = bytes.Clone(answer)
	if a.caps&capWithDB != 0 {
		db, after, _ := bytes.Cut(rest, []byte{0})
		a.db, rest = string(db), after
	}
	if a.caps&capPluginAuth != 0 {
		plugin, _, _ := bytes.Cut(rest, []byte{0})
		a.plugin = bytes.Clone(plugin)
	}
	return a, nil
}

// admit checks user and password. A client that answered by another plugin is asked again.
func (s *session) admit(a asked) (bool, error) {
	c := s.p.config()
	if len(a.plugin) > 0 && string(a.plugin) != nativePassword {
		s.salt = newSalt()
		b := append([]byte{0xfe}, nativePassword...)
		b = append(append(append(b, 0), s.salt...), 0)
		if _, err := s.client.Write(frame(s.seq, b)); err != nil {
			return false, err
		}
		p, err := s.client.packet(1 << 16)
		if err != nil {
			return false, err
		}
		s.seq = p[3] + 1
		a.answer = bytes.Clone(p[4:])
	}
	if a.user != c.User || !proves(a.answer, s.salt, c.Password) {
		s.p.counts.denied.Add(1)
		using := "YES"
		if len(a.answer) == 0 {
			using = "NO"
		}
		s.refuse(&Refusal{1045, "28000", "Access denied for user '" + a.user + "' (using password: " + using + "): the proxy on this server lets the application's user in, " + c.User})
		return false, nil
	}
	return true, nil
}

// knowsDB remembers databases that a server has opened, so that a connection costs no question.
func (p *Proxy) knowsDB(db string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dbs[db]
}

func (p *Proxy) learnDB(db string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dbs == nil || len(p.dbs) > 100 {
		p.dbs = map[string]bool{}
	}
	p.dbs[db] = true
}

// changeUser is COM_CHANGE_USER: the session begins anew.
func (s *session) changeUser(body []byte) error {
	user, rest, ok := bytes.Cut(body, []byte{0})
	if !ok || len(rest) == 0 || len(rest) < 1+int(rest[0]) {
		s.refuse(&Refusal{1047, "08S01", "Malformed COM_CHANGE_USER"})
		return errMalformed
	}
	a := asked{user: string(user), answer: bytes.Clone(rest[1 : 1+rest[0]])}
	db, rest, _ := bytes.Cut(rest[1+rest[0]:], []byte{0})
	if len(rest) >= 2 {
		s.link.collation = rest[0]
		plugin, _, _ := bytes.Cut(rest[2:], []byte{0})
		a.plugin = bytes.Clone(plugin)
	}
	name := string(db)
	ok, err := s.admit(a)
	if err != nil || !ok {
		return errors.Join(err, errEnded)
	}
	s.startOver()
	s.db = name
	return s.okay()
}
