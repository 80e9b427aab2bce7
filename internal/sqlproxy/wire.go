package sqlproxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// Commands of the protocol, by https://mariadb.com/kb/en/clientserver-protocol/.
const (
	comQuit             = 0x01
	comInitDB           = 0x02
	comQuery            = 0x03
	comFieldList        = 0x04
	comStatistics       = 0x09
	comProcessInfo      = 0x0a
	comProcessKill      = 0x0c
	comDebug            = 0x0d
	comPing             = 0x0e
	comChangeUser       = 0x11
	comStmtPrepare      = 0x16
	comStmtExecute      = 0x17
	comStmtSendLongData = 0x18
	comStmtClose        = 0x19
	comStmtReset        = 0x1a
	comSetOption        = 0x1b
	comStmtFetch        = 0x1c
	comResetConnection  = 0x1f
)

// Capabilities of clients and servers.
const (
	capMySQL            = 1 << 0 // also: no MariaDB extensions follow
	capFoundRows        = 1 << 1
	capLongFlag         = 1 << 2
	capWithDB           = 1 << 3
	capLocalFiles       = 1 << 7
	capIgnoreSpace      = 1 << 8
	capProtocol41       = 1 << 9
	capInteractive      = 1 << 10
	capTransactions     = 1 << 13
	capSecureConnection = 1 << 15
	capMultiStatements  = 1 << 16
	capMultiResults     = 1 << 17
	capPSMultiResults   = 1 << 18
	capPluginAuth       = 1 << 19
	capConnectAttrs     = 1 << 20
	capPluginAuthData   = 1 << 21 // the answer's length is a number of variable size
	capSessionTrack     = 1 << 23
)

// sharedCaps change what a server answers, so that a server's connection fits only clients with the same.
const sharedCaps = capFoundRows | capLocalFiles | capIgnoreSpace | capInteractive | capMultiStatements | capMultiResults | capPSMultiResults

// Flags of a server's status.
const (
	statusInTransaction = 0x0001
	statusAutocommit    = 0x0002
	statusMoreResults   = 0x0008
	statusCursor        = 0x0040
	statusNoBackslash   = 0x0200
	statusTracked       = 0x4000
)

// biggest is the length that says that the packet goes on in another one.
const biggest = 1<<24 - 1

// bufferSize is what a connection reads at once: a server's own net_buffer_length.
const bufferSize = 16 << 10

var errMalformed = errors.New("malformed packet")

// errTooLarge is a command longer than Config.MaxPacket.
var errTooLarge = errors.New("packet larger than allowed")

// stream is a connection with a buffer whose content may be looked at in place.
type stream struct {
	net.Conn
	buf  []byte
	r, w int // buf[r:w] is read and not taken yet
}

func newStream(c net.Conn) *stream { return &stream{Conn: c, buf: make([]byte, bufferSize)} }

// fill makes at least n bytes available at buf[r:w]. What stood before r is lost, and slices of it with it.
func (s *stream) fill(n int) error {
	if s.w-s.r >= n {
		return nil
	}
	if s.r+n > len(s.buf) {
		to := s.buf
		if n > len(to) {
			// In steps: a header may promise more than ever comes.
			to = make([]byte, max(n, min(2*len(to), 1<<20)))
		}
		s.w = copy(to, s.buf[s.r:s.w])
		s.r, s.buf = 0, to
	}
	for s.w-s.r < n {
		m, err := s.Read(s.buf[s.w:])
		s.w += m
		if s.w-s.r >= n {
			return nil
		}
		if err != nil {
			if errors.Is(err, io.EOF) && s.w > s.r {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		if s.w == len(s.buf) {
			return io.ErrShortBuffer
		}
	}
	return nil
}

// header looks at the next packet's length.
func (s *stream) header() (length int, err error) {
	if err := s.fill(4); err != nil {
		return 0, err
	}
	h := s.buf[s.r:]
	return int(h[0]) | int(h[1])<<8 | int(h[2])<<16, nil
}

// packet takes one packet as it is on the wire, header included. It is valid until the next call.
func (s *stream) packet(limit int) ([]byte, error) {
	n, err := s.header()
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, errTooLarge
	}
	if err := s.fillGently(n + 4); err != nil {
		return nil, err
	}
	p := s.buf[s.r : s.r+n+4]
	s.r += n + 4
	if s.r == s.w {
		s.r, s.w = 0, 0
	}
	return p, nil
}

// fillGently is fill for lengths that the other side made up: memory grows with what has come.
func (s *stream) fillGently(n int) error {
	for step := max(s.w-s.r, bufferSize); step < n; step *= 2 {
		if err := s.fill(step); err != nil {
			return err
		}
	}
	return s.fill(n)
}

// command takes a whole command as it is on the wire: packets of the greatest length go on in the next.
func (s *stream) command(limit int) ([]byte, error) {
	if s.r == s.w {
		s.r, s.w = 0, 0
		if len(s.buf) > 1<<20 {
			s.buf = make([]byte, bufferSize)
		}
	}
	p, err := s.packet(limit)
	if err != nil || len(p) < biggest+4 {
		return p, err
	}
	whole := append([]byte(nil), p...)
	for len(p) == biggest+4 {
		if p, err = s.packet(limit); err != nil {
			return nil, err
		}
		if len(whole)+len(p) > limit+limit/biggest*4+8 {
			return nil, errTooLarge
		}
		whole = append(whole, p...)
	}
	return whole, nil
}

// frame makes a packet of a payload that is shorter than biggest.
func frame(seq byte, payload []byte) []byte {
	p := make([]byte, 4, 4+len(payload))
	p[0], p[1], p[2], p[3] = byte(len(payload)), byte(len(payload)>>8), byte(len(payload)>>16), seq
	return append(p, payload...)
}

// lenenc reads a number of variable size; n is the bytes that it took, 0 for a malformed one.
func lenenc(b []byte) (v uint64, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	switch b[0] {
	case 0xfc:
		if len(b) >= 3 {
			return uint64(binary.LittleEndian.Uint16(b[1:])), 3
		}
	case 0xfd:
		if len(b) >= 4 {
			return uint64(b[1]) | uint64(b[2])<<8 | uint64(b[3])<<16, 4
		}
	case 0xfe:
		if len(b) >= 9 {
			return binary.LittleEndian.Uint64(b[1:]), 9
		}
	case 0xfb, 0xff:
	default:
		return uint64(b[0]), 1
	}
	return 0, 0
}

func appendLenenc(b []byte, v uint64) []byte {
	switch {
	case v < 0xfb:
		return append(b, byte(v))
	case v < 1<<16:
		return append(b, 0xfc, byte(v), byte(v>>8))
	case v < 1<<24:
		return append(b, 0xfd, byte(v), byte(v>>8), byte(v>>16))
	}
	return binary.LittleEndian.AppendUint64(append(b, 0xfe), v)
}

// cutText reads a text with its length before it.
func cutText(b []byte) (text, rest []byte, err error) {
	v, n := lenenc(b)
	if n == 0 || v > uint64(len(b)-n) {
		return nil, nil, errMalformed
	}
	return b[n : n+int(v)], b[n+int(v):], nil
}

// okay is an OK packet.
type okay struct {
	affected, insertID uint64
	status, warnings   uint16
	info               []byte
	gtid               string  // of what was committed, "" for nothing
	schema             *string // the default database, if it changed
}

// parseOK reads the payload of an OK packet of a server that tells changes of the session's state.
func parseOK(p []byte) (o okay, err error) {
	if len(p) < 7 {
		return o, errMalformed
	}
	p = p[1:]
	for _, v := range []*uint64{&o.affected, &o.insertID} {
		n := 0
		if *v, n = lenenc(p); n == 0 {
			return o, errMalformed
		}
		p = p[n:]
	}
	if len(p) < 4 {
		return o, errMalformed
	}
	o.status, o.warnings = binary.LittleEndian.Uint16(p), binary.LittleEndian.Uint16(p[2:])
	if p = p[4:]; len(p) == 0 {
		return o, nil
	}
	if o.info, p, err = cutText(p); err != nil {
		return o, err
	}
	if o.status&statusTracked == 0 {
		return o, nil
	}
	changes, _, err := cutText(p)
	for err == nil && len(changes) > 0 {
		kind := changes[0]
		var body []byte
		if body, changes, err = cutText(changes[1:]); err == nil {
			err = o.change(kind, body)
		}
	}
	return o, err
}

// change takes over one change of the session's state.
func (o *okay) change(kind byte, body []byte) error {
	switch kind {
	case 0: // a system variable
		for len(body) > 0 {
			name, rest, err := cutText(body)
			if err != nil {
				return err
			}
			value, rest, err := cutText(rest)
			if err != nil {
				return err
			}
			if string(name) == "last_gtid" {
				o.gtid = string(value)
			}
			body = rest
		}
	case 1: // the default database
		name, _, err := cutText(body)
		if err != nil {
			return err
		}
		s := string(name)
		o.schema = &s
	case 3: // MySQL's GTIDs: a byte that says how they are written, then the text
		if len(body) == 0 {
			return errMalformed
		}
		text, _, err := cutText(body[1:])
		if err != nil {
			return err
		}
		o.gtid = string(text)
	}
	return nil
}

// append is the packet's payload for a client who is told nothing of the session's state.
func (o okay) append(b []byte) []byte {
	b = append(b, 0)
	b = appendLenenc(b, o.affected)
	b = appendLenenc(b, o.insertID)
	b = binary.LittleEndian.AppendUint16(b, o.status&^statusTracked)
	b = binary.LittleEndian.AppendUint16(b, o.warnings)
	return append(b, o.info...)
}

// Refusal is an error packet: what a server, or the proxy, answers instead of a result.
type Refusal struct {
	Code    uint16
	State   string // five letters
	Message string
}

func (r *Refusal) Error() string { return fmt.Sprintf("%d (%s): %s", r.Code, r.State, r.Message) }

func parseRefusal(p []byte) (*Refusal, error) {
	if len(p) < 3 {
		return nil, errMalformed
	}
	r := &Refusal{Code: binary.LittleEndian.Uint16(p[1:]), State: "HY000"}
	p = p[3:]
	if len(p) >= 6 && p[0] == '#' {
		r.State, p = string(p[1:6]), p[6:]
	}
	r.Message = string(p)
	return r, nil
}

func (r *Refusal) append(b []byte) []byte {
	b = append(b, 0xff, byte(r.Code), byte(r.Code>>8), '#')
	b = append(b, r.State...)
	return append(b, r.Message...)
}
