package trace

import (
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// Point is the demand from At until the next point's time.
type Point struct {
	At    time.Time
	Value float64 // not negative; in the trace's own unit: requests a second, load, busy workers
}

// Source is a trace that can be read any number of times, also at once: each algorithm that is compared reads it anew.
type Source interface {
	// Name is what it is called where results are shown: a file's name, a shape's.
	Name() string
	// Open starts at the first point.
	Open() (Reader, error)
}

// Reader gives a trace's points in order of time. For one goroutine.
type Reader interface {
	// Next is the next point, or io.EOF.
	Next() (Point, error)
	// Done is the share of the trace that was read, 0 to 1, as far as it can be told.
	Done() float64
	Close() error
}

// Gaps is what becomes of a hole between two rows.
type Gaps string

// A hole is longer than one and a half times the distance of the trace's first two rows.
const (
	GapsRefuse Gaps = "refuse" // an error that names the line; the default, since a guess would show in the result
	GapsHold   Gaps = "hold"   // the value before the hole stands until its end
	GapsLinear Gaps = "linear" // a straight line from the value before to the one behind
	GapsZero   Gaps = "zero"   // nobody came, as in exports that leave out zeroes
)

// ParseGaps reads one of the words above; empty is refuse.
func ParseGaps(s string) (Gaps, error) {
	switch g := Gaps(s); g {
	case "":
		return GapsRefuse, nil
	case GapsRefuse, GapsHold, GapsLinear, GapsZero:
		return g, nil
	}
	return "", fmt.Errorf("%q says not what becomes of a gap: write \"refuse\", \"hold\", \"linear\" or \"zero\"", s)
}

// raw is a reader before its points are believed. where names the place of the point just read, as in "line 7".
type raw interface {
	next() (Point, error)
	where() string
	done() float64
	Close() error
}

// checked believes nothing: order, distance and value of each point are looked at.
type checked struct {
	raw
	gaps    Gaps
	former  Point
	n       int
	step    time.Duration
	pending []Point // of a filled gap, and the point behind it
}

func (c *checked) Done() float64 { return c.done() }

func (c *checked) Next() (Point, error) {
	if len(c.pending) > 0 {
		p := c.pending[0]
		c.pending = c.pending[1:]
		return p, nil
	}
	p, err := c.next()
	if errors.Is(err, io.EOF) && c.n < 2 {
		return p, fmt.Errorf("%s: a trace needs two points at least, to tell how far apart they are", points(c.n))
	}
	if err != nil {
		return p, err
	}
	if err := c.believe(p); err != nil {
		return p, err
	}
	former := c.former
	c.former = p
	c.n++
	if c.n == 2 {
		c.step = p.At.Sub(former.At)
	}
	if c.n > 2 && c.isGap(former, p) && c.gaps != GapsHold {
		return c.fill(former, p), nil
	}
	return p, nil
}

func (c *checked) believe(p Point) error {
	switch {
	case math.IsNaN(p.Value) || math.IsInf(p.Value, 0):
		return fmt.Errorf("%s: %v is no number: mend the row, or take it out and choose what becomes of the gap (hold, linear or zero)", c.where(), p.Value)
	case p.Value < 0:
		return fmt.Errorf("%s: %v is negative; nothing demands less than nothing: mend the row, or take it out and choose what becomes of the gap (hold, linear or zero)", c.where(), p.Value)
	case c.n == 0:
		return nil
	case p.At.Equal(c.former.At):
		return fmt.Errorf("%s: %s stands there already: keep one row per time, or add the two up", c.where(), stamp(p.At))
	case p.At.Before(c.former.At):
		return fmt.Errorf("%s: %s is earlier than %s in the row before: sort the rows by time", c.where(), stamp(p.At), stamp(c.former.At))
	case c.n >= 2 && c.gaps == GapsRefuse && c.isGap(c.former, p):
		return fmt.Errorf("%s: nothing is known for %s before %s, while the rows are %s apart: fill the gap in, or choose what becomes of it (hold, linear or zero)",
			c.where(), p.At.Sub(c.former.At)-c.step, stamp(p.At), c.step)
	}
	return nil
}

func (c *checked) isGap(former, p Point) bool { return p.At.Sub(former.At) > c.step+c.step/2 }

// fill puts points into a hole, step apart, and returns the first of them.
func (c *checked) fill(former, p Point) Point {
	const most = 1 << 20 // a hole of years in a trace of seconds is a mistake, and no reason to run out of memory
	length := p.At.Sub(former.At)
	step := max(c.step, length/most)
	for at := former.At.Add(step); at.Before(p.At); at = at.Add(step) {
		v := 0.0
		if c.gaps == GapsLinear {
			v = former.Value + (p.Value-former.Value)*float64(at.Sub(former.At))/float64(length)
		}
		c.pending = append(c.pending, Point{at, v})
	}
	c.pending = append(c.pending, p)
	first := c.pending[0]
	c.pending = c.pending[1:]
	return first
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func points(n int) string {
	switch n {
	case 0:
		return "there is no point"
	case 1:
		return "there is one point only"
	}
	return fmt.Sprintf("there are %d points", n)
}
