package dbbackup

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// Span is what a binary log holds.
type Span struct {
	First, Last time.Time // of its transactions, to the second; both zero for none
	Events      int       // transactions
	Begin       uint64    // sequence number of its first one
	End         uint64    // and of its last one
	Position    string    // GTID of that, "domain-server-sequence"
	// Broken: its transactions are of several domains, or their numbers do not follow each other, so that Begin and End do not tell
	// what it holds.
	Broken bool

	// Before and BeforePosition are End and Position of the part before the moment asked for: of the last transaction in front
	// of the first one that is not earlier.
	Before         uint64
	BeforePosition string
	past           bool
}

// Facts of the format: https://mariadb.com/kb/en/2-binlog-event-header/ and https://mariadb.com/kb/en/gtid_event/
const (
	binlogMagic = "\xfebin"
	headerSize  = 19
	gtidEvent   = 162 // MariaDB's
	maxEvent    = 1 << 30
)

// ErrLog: a file is no binary log, or is cut off.
var ErrLog = errors.New("not a whole binary log")

// Scan reads a closed binary log through. until is the moment that Before is about; zero: it is all of it.
func Scan(r io.Reader, until time.Time) (Span, error) {
	var s Span
	b := bufio.NewReaderSize(r, 64<<10)
	magic := make([]byte, len(binlogMagic))
	if _, err := io.ReadFull(b, magic); err != nil || string(magic) != binlogMagic {
		return s, fmt.Errorf("%w: it does not begin as one", ErrLog)
	}
	header := make([]byte, headerSize)
	var domain uint32
	for {
		if _, err := io.ReadFull(b, header); err == io.EOF {
			return s, nil
		} else if err != nil {
			return s, fmt.Errorf("%w: cut off in an event's header: %w", ErrLog, err)
		}
		at, kind := binary.LittleEndian.Uint32(header), header[4]
		server, size := binary.LittleEndian.Uint32(header[5:]), int64(binary.LittleEndian.Uint32(header[9:]))-headerSize
		if size < 0 || size > maxEvent {
			return s, fmt.Errorf("%w: an event of %d bytes", ErrLog, size+headerSize)
		}
		if kind == gtidEvent && size >= 12 {
			body := make([]byte, 12)
			if _, err := io.ReadFull(b, body); err != nil {
				return s, fmt.Errorf("%w: cut off in an event: %w", ErrLog, err)
			}
			size -= 12
			t := time.Unix(int64(at), 0).UTC()
			if s.Events == 0 || t.Before(s.First) {
				s.First = t
			}
			if t.After(s.Last) {
				s.Last = t
			}
			number, in := binary.LittleEndian.Uint64(body), binary.LittleEndian.Uint32(body[8:])
			if s.Events++; s.Events == 1 {
				s.Begin, domain = number, in
			} else if number != s.End+1 || in != domain {
				s.Broken = true
			}
			s.End, s.Position = number, fmt.Sprintf("%d-%d-%d", in, server, number)
			if s.past = s.past || !until.IsZero() && !t.Before(until); !s.past {
				s.Before, s.BeforePosition = s.End, s.Position
			}
		}
		if n, err := b.Discard(int(size)); err != nil {
			return s, fmt.Errorf("%w: cut off %d bytes into an event: %w", ErrLog, n, err)
		}
	}
}
