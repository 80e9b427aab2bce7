package sqlproxy

import (
	"encoding/binary"
	"errors"
	"net"
)

// kind is what the answer to a command looks like.
type kind int

const (
	ofQuery   kind = iota // OK, an error, a request for a file, or results
	ofPrepare             // a statement's number, then its parameters and columns
	ofFetch               // rows until their end
	ofOne                 // one packet of any kind
	ofNothing             // no answer
)

// answered is what came of a command.
type answered struct {
	status   uint16
	okay     bool     // it ended in an OK packet
	result   bool     // there were rows, or could have been
	refusal  *Refusal // it ended in an error
	sent     bool     // the client has some of it
	boundary bool     // and what it has ends with a packet
	seq      byte     // of the last packet
	insertID uint64
	prepared prepared
}

// relay takes the answer of one server to one client.
type relay struct {
	client *stream
	server *server
	kind   kind
	// hold lets an error that comes first be kept from the client; the caller does with it what it thinks right.
	hold func(*Refusal) bool
	// ok is called with every OK packet before the client sees it, and end before it sees the end of rows where no OK
	// packet tells what was written.
	ok  func(okay)
	end func() error
	// number is what the client knows a prepared statement by.
	number uint32

	answered
	from  int // server.buf[from:server.r] is read, and not sent yet
	spare []byte
}

// run forwards until the answer has ended. Its error is a lost for the server's part, else the client's. After either the
// connection in question is of no more use.
func (x *relay) run() error {
	x.from, x.boundary = x.server.r, true
	var err error
	switch x.kind {
	case ofQuery:
		err = x.results()
	case ofPrepare:
		err = x.preparation()
	case ofFetch:
		err = x.rows()
	case ofOne:
		_, err = x.whole()
	}
	if err != nil {
		return err
	}
	return x.flush()
}

// results forwards any number of results.
func (x *relay) results() error {
	for {
		n, err := x.peek()
		if err != nil {
			return err
		}
		body := x.server.buf[x.server.r+4:]
		switch {
		case body[0] == 0 && n >= 7:
			more, err := x.takeOK()
			if err != nil || !more {
				return err
			}
			continue
		case body[0] == 0xff:
			return x.takeError()
		case body[0] == 0xfb:
			if err := x.file(); err != nil {
				return err
			}
			continue
		}
		x.result = true
		columns, size := lenenc(body[:min(n, 9)])
		if size == 0 || columns == 0 || columns > 1<<16 {
			return lost{errMalformed}
		}
		if err := x.skip(n); err != nil {
			return err
		}
		for range columns {
			if err := x.one(); err != nil {
				return err
			}
		}
		// The end of the columns: with a cursor the rows come later, when they are fetched.
		ended, err := x.endOfColumns()
		if err != nil {
			return err
		}
		if !ended {
			if err := x.rows(); err != nil {
				return err
			}
		}
		if x.refusal != nil || x.status&statusMoreResults == 0 {
			return nil //nolint:nilerr // it ended, with what the server had to say
		}
	}
}

func (x *relay) endOfColumns() (done bool, err error) {
	n, err := x.peek()
	if err != nil {
		return false, err
	}
	body := x.server.buf[x.server.r+4:]
	if n != 5 || body[0] != 0xfe {
		return false, lost{errMalformed}
	}
	x.status = binary.LittleEndian.Uint16(body[3:])
	return x.status&statusCursor != 0, x.skip(n)
}

// rows forwards rows until their end.
func (x *relay) rows() error {
	for {
		n, err := x.peek()
		if err != nil {
			return err
		}
		body := x.server.buf[x.server.r+4:]
		switch {
		case body[0] == 0xff && n >= 3 && n < biggest:
			return x.takeError()
		case body[0] == 0xfe && n < 9:
			if n >= 5 {
				x.status = binary.LittleEndian.Uint16(body[3:])
			}
			if x.end != nil && x.status&statusMoreResults == 0 {
				if err := x.beforeEnd(n); err != nil {
					return err
				}
				return nil
			}
			return x.skip(n)
		}
		if err := x.one(); err != nil {
			return err
		}
	}
}

// beforeEnd keeps the last packet while the server is asked something else.
func (x *relay) beforeEnd(n int) error {
	if err := x.skip(n); err != nil {
		return err
	}
	x.spare = append(x.spare[:0], x.server.buf[x.from:x.server.r]...)
	x.from = x.server.r
	if err := x.end(); err != nil {
		return err
	}
	x.from = x.server.r
	return x.write(x.spare)
}

// preparation forwards the answer to COM_STMT_PREPARE.
func (x *relay) preparation() error {
	n, err := x.peek()
	if err != nil {
		return err
	}
	b := x.server.buf[x.server.r+4:]
	if b[0] == 0xff {
		return x.takeError()
	}
	if b[0] != 0 || n < 12 {
		return lost{errMalformed}
	}
	x.prepared = prepared{
		id:         binary.LittleEndian.Uint32(b[1:]),
		columns:    int(binary.LittleEndian.Uint16(b[5:])),
		parameters: int(binary.LittleEndian.Uint16(b[7:])),
	}
	if x.number != 0 {
		binary.LittleEndian.PutUint32(b[1:], x.number)
	}
	if err := x.skip(n); err != nil {
		return err
	}
	for _, count := range []int{x.prepared.parameters, x.prepared.columns} {
		for i := 0; count > 0 && i <= count; i++ { // and one that ends them
			if err := x.one(); err != nil {
				return err
			}
		}
	}
	return nil
}

// file lets the client send the file that the server asks for.
func (x *relay) file() error {
	if err := x.one(); err != nil {
		return err
	}
	if err := x.flush(); err != nil {
		return err
	}
	for {
		p, err := x.client.packet(biggest)
		if err != nil {
			return err
		}
		if _, err := x.server.Write(p); err != nil {
			return lost{err}
		}
		if len(p) == 4 {
			return nil
		}
	}
}

// takeOK forwards an OK packet without what the client is not told.
func (x *relay) takeOK() (more bool, err error) {
	p, err := x.whole()
	if err != nil {
		return false, err
	}
	o, err := parseOK(p[4:])
	if err != nil {
		return false, lost{err}
	}
	seq := p[3]
	x.status, x.okay, x.insertID = o.status, true, o.insertID
	x.server.take(o)
	if x.ok != nil {
		x.ok(o)
	}
	if o.status&statusTracked == 0 && len(o.info) == 0 {
		return o.status&statusMoreResults != 0, nil // as the client knows it
	}
	x.spare = append(x.spare[:0], 0, 0, 0, seq)
	x.spare = o.append(x.spare)
	n := len(x.spare) - 4
	x.spare[0], x.spare[1], x.spare[2] = byte(n), byte(n>>8), byte(n>>16)
	end := x.server.r
	x.server.r -= len(p)
	if err := x.flush(); err != nil {
		return false, err
	}
	x.server.r, x.from = end, end
	return o.status&statusMoreResults != 0, x.write(x.spare)
}

// takeError forwards an error, or keeps it if it is the whole answer.
func (x *relay) takeError() error {
	p, err := x.whole()
	if err != nil {
		return err
	}
	r, err := parseRefusal(p[4:])
	if err != nil {
		return lost{err}
	}
	x.refusal = r
	if !x.sent && x.from == x.server.r-len(p) && x.hold != nil && x.hold(r) {
		x.from = x.server.r
	}
	return nil
}

// peek makes the next packet's beginning available, and all of it if it is short; n is its length, at least 1.
func (x *relay) peek() (n int, err error) {
	if err := x.need(5); err != nil {
		return 0, err
	}
	n, _ = x.server.header()
	if n == 0 {
		return 0, lost{errMalformed}
	}
	if err := x.need(4 + min(n, 12)); err != nil {
		return 0, err
	}
	x.seq = x.server.buf[x.server.r+3]
	return n, nil
}

// whole takes a packet of which all is needed.
func (x *relay) whole() ([]byte, error) {
	n, err := x.peek()
	if err != nil {
		return nil, err
	}
	if err := x.need(4 + n); err != nil {
		return nil, err
	}
	s := x.server.stream
	p := s.buf[s.r : s.r+4+n]
	s.r += 4 + n
	return p, nil
}

// one passes a packet on, and the ones that it goes on in.
func (x *relay) one() error {
	for {
		if err := x.need(4); err != nil {
			return err
		}
		n, _ := x.server.header()
		x.seq = x.server.buf[x.server.r+3]
		if err := x.skip(n); err != nil {
			return err
		}
		if n < biggest {
			return nil
		}
	}
}

// skip passes a packet's header and n bytes on, in pieces where the buffer does not hold them.
func (x *relay) skip(n int) error {
	s := x.server.stream
	for left := n + 4; left > 0; {
		if s.r == s.w {
			if err := x.need(1); err != nil {
				return err
			}
		}
		m := min(left, s.w-s.r)
		s.r += m
		left -= m
		x.boundary = left == 0
	}
	return nil
}

// need is fill that first sends what it would move.
func (x *relay) need(n int) error {
	s := x.server.stream
	if s.w-s.r >= n {
		return nil
	}
	// What is read stays while there is room for more behind it: one write for as much as possible.
	if s.r+n > len(s.buf) || s.w == len(s.buf) {
		if err := x.flush(); err != nil {
			return err
		}
		if s.r == s.w {
			s.r, s.w, x.from = 0, 0, 0
		}
	}
	before := s.r
	if err := s.fillGently(n); err != nil {
		return lost{err}
	}
	x.from += s.r - before
	return nil
}

// flush sends what is read.
func (x *relay) flush() error {
	b := x.server.buf[x.from:x.server.r]
	x.from = x.server.r
	if len(b) == 0 {
		return nil
	}
	return x.write(b)
}

func (x *relay) write(b []byte) error {
	x.sent = true
	_, err := x.client.Write(b)
	return err
}

// isLost tells a server's failure from a client's.
func isLost(err error) bool {
	var l lost
	return errors.As(err, &l)
}

var _ net.Conn = (*stream)(nil)
