package trace

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Names that the columns of a CSV file may go by, in order of preference.
var (
	timeColumns  = []string{"time", "timestamp", "at", "date", "datetime"}
	valueColumns = []string{"demand", "value", "load", "load_average", "cpu", "requests", "rps"}
)

const serversColumn = "servers"

// csvRaw reads rows of time and value, with or without a line of names above them.
type csvRaw struct {
	csv     *csv.Reader
	in      io.Closer
	size    int64
	o       Options
	time    int // columns
	value   int
	servers int      // -1: none
	names   []string // nil: the file has no names
	first   []string // a first row that is data and was read to find that out
	line    int
}

func readCSV(b *bufio.Reader, in io.Closer, size int64, o Options) (*csvRaw, error) {
	if head, _ := b.Peek(len(bom)); string(head) == string(bom) {
		_, _ = b.Discard(len(bom))
	}
	r := &csvRaw{csv: csv.NewReader(b), in: in, size: size, o: o, value: 1, servers: -1}
	r.csv.ReuseRecord = true
	r.csv.TrimLeadingSpace = true
	r.csv.Comment = '#'
	head, err := r.csv.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("is empty: a trace is rows of time and value, as in \"2026-03-02T09:00:00Z,12.5\"")
	}
	if err != nil {
		return nil, plain(err)
	}
	r.line, _ = r.csv.FieldPos(0)
	if len(head) < 2 {
		return nil, fmt.Errorf("line %d: one column only: a trace is rows of time and value parted by a comma, as in \"2026-03-02T09:00:00Z,12.5\"", r.line)
	}
	if _, err := parseTime(head[0]); err == nil { // no names
		if len(head) > 2 {
			return nil, fmt.Errorf("line %d: %d columns and no line of names above them: write one, as in \"time,demand\"", r.line, len(head))
		}
		if o.Column != "" {
			return nil, fmt.Errorf("line %d: there is no line of names, so none is called %q", r.line, o.Column)
		}
		r.first = slices.Clone(head)
	} else if err := r.columns(slices.Clone(head)); err != nil {
		return nil, fmt.Errorf("line %d: %w", r.line, err)
	}
	if o.PerServer && r.servers < 0 && o.Servers <= 0 {
		return nil, errors.New("a metric says nothing of the demand unless it is known over how many servers it is the average: add a column \"servers\", or say how many there were")
	}
	return r, nil
}

// columns finds out which is which by their names.
func (r *csvRaw) columns(names []string) error {
	for i, n := range names {
		names[i] = strings.ToLower(strings.TrimSpace(n))
	}
	r.names = names
	if r.time = firstOf(names, timeColumns); r.time < 0 {
		if _, err := strconv.ParseFloat(names[1], 64); err == nil { // data, whose time cannot be read
			return timeError(names[0])
		}
		return fmt.Errorf("no column is called \"time\" among %s", strings.Join(names, ", "))
	}
	r.servers = slices.Index(names, serversColumn)
	if r.o.Column != "" {
		if r.value = slices.Index(names, strings.ToLower(r.o.Column)); r.value < 0 {
			return fmt.Errorf("no column is called %q; there are %s", r.o.Column, strings.Join(names, ", "))
		}
		return nil
	}
	var rest []int
	for i := range names {
		if i != r.time && i != r.servers {
			rest = append(rest, i)
		}
	}
	if len(rest) == 1 {
		r.value = rest[0]
		return nil
	}
	if r.value = firstOf(names, valueColumns); r.value < 0 {
		return fmt.Errorf("which of the columns %s is the demand? Call it \"demand\", or say which", strings.Join(names, ", "))
	}
	return nil
}

func firstOf(names, wanted []string) int {
	for _, w := range wanted {
		if i := slices.Index(names, w); i >= 0 {
			return i
		}
	}
	return -1
}

func (r *csvRaw) next() (Point, error) {
	row := r.first
	r.first = nil
	if row == nil {
		var err error
		if row, err = r.csv.Read(); err != nil {
			return Point{}, plain(err)
		}
		r.line, _ = r.csv.FieldPos(0)
	}
	at, err := parseTime(row[r.time])
	if err != nil {
		return Point{}, fmt.Errorf("line %d: %w", r.line, err)
	}
	v, err := r.number(row[r.value])
	if err != nil {
		return Point{}, err
	}
	if r.o.PerServer {
		n := float64(r.o.Servers)
		if r.servers >= 0 {
			if n, err = r.number(row[r.servers]); err != nil {
				return Point{}, err
			}
			if n < 0 || n != math.Trunc(n) {
				return Point{}, fmt.Errorf("line %d: %v is no number of servers", r.line, n)
			}
		}
		v *= n
	}
	return Point{at, v * r.o.Scale}, nil
}

func (r *csvRaw) number(s string) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil {
		if s = strings.TrimSpace(s); s == "" {
			return 0, fmt.Errorf("line %d: the value is missing: fill it in, or take the row out and choose what becomes of the gap (hold, linear or zero)", r.line)
		}
		return 0, fmt.Errorf("line %d: %q is no number", r.line, s)
	}
	return v, nil
}

func (r *csvRaw) where() string { return fmt.Sprintf("line %d", r.line) }
func (r *csvRaw) Close() error  { return r.in.Close() }

func (r *csvRaw) done() float64 {
	if r.size == 0 {
		return 0
	}
	return min(1, float64(r.csv.InputOffset())/float64(r.size))
}

// plain says what is wrong with a line of CSV without the library's own words around it.
func plain(err error) error {
	var p *csv.ParseError
	if !errors.As(err, &p) {
		return err
	}
	if errors.Is(p.Err, csv.ErrFieldCount) {
		return fmt.Errorf("line %d: another number of columns than in the rows before", p.Line)
	}
	return fmt.Errorf("line %d: %w", p.Line, p.Err)
}

// parseTime reads RFC 3339, or the time since 1970 in seconds, milli-, micro- or nanoseconds: which of them, its size
// tells for every year from 1973 to 5138.
func parseTime(s string) (time.Time, error) {
	s = strings.TrimSpace(s)
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC(), nil
	}
	if whole, err := strconv.ParseInt(s, 10, 64); err == nil && whole > 0 {
		switch {
		case whole < 1e11:
			return time.Unix(whole, 0).UTC(), nil
		case whole < 1e14:
			return time.UnixMilli(whole).UTC(), nil
		case whole < 1e17:
			return time.UnixMicro(whole).UTC(), nil
		}
		return time.Unix(0, whole).UTC(), nil
	}
	if v, err := strconv.ParseFloat(s, 64); err == nil && v > 0 && v < 1e11 {
		return secondsSince1970(v), nil
	}
	return time.Time{}, timeError(s)
}

func secondsSince1970(v float64) time.Time {
	whole, part := math.Modf(v)
	return time.Unix(int64(whole), int64(math.Round(part*1e3))*1e6).UTC()
}

func timeError(s string) error {
	return fmt.Errorf("%q is no time: write it as in 2026-03-02T09:00:00Z, or as seconds since 1970", s)
}
