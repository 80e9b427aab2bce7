package trace

import (
	"errors"
	"io"
	"time"
)

// Feed reads a trace as time goes by: what was demanded, on average, from one instant to the next. A point's value
// stands until the next point; the last one's as long as the one's before. For one goroutine.
type Feed struct {
	r         Reader
	cur, next Point
	end       time.Time // of the trace; zero until it is known
	last      bool      // cur is the last point
}

// NewFeed reads the first two points. It closes r when it fails.
func NewFeed(r Reader) (*Feed, error) {
	f := &Feed{r: r}
	var err error
	if f.cur, err = r.Next(); err == nil {
		f.next, err = r.Next()
	}
	if err != nil {
		_ = r.Close()
		if errors.Is(err, io.EOF) {
			err = errors.New("the trace holds no two points")
		}
		return nil, err
	}
	return f, nil
}

// Start is the first point's time, or that of the point reached.
func (f *Feed) Start() time.Time { return f.cur.At }

// First is the value at Start.
func (f *Feed) First() float64 { return f.cur.Value }

// Done is the share of the trace that was read.
func (f *Feed) Done() float64 { return f.r.Done() }

// Close ends the reading.
func (f *Feed) Close() error { return f.r.Close() }

// Mean is the average over [from, to); from is where the former call ended. io.EOF once the trace ends before to.
func (f *Feed) Mean(from, to time.Time) (float64, error) {
	sum, at := 0.0, from
	for {
		until := f.next.At
		if f.last {
			until = f.end
		}
		if !to.After(until) {
			if at.Equal(from) { // the usual case: within one point
				return f.cur.Value, nil
			}
			sum += f.cur.Value * to.Sub(at).Seconds()
			return sum / to.Sub(from).Seconds(), nil
		}
		if f.last {
			return 0, io.EOF
		}
		if until.After(at) {
			sum += f.cur.Value * until.Sub(at).Seconds()
			at = until
		}
		step := f.next.At.Sub(f.cur.At)
		f.cur = f.next
		next, err := f.r.Next()
		switch {
		case errors.Is(err, io.EOF):
			f.last, f.end = true, f.cur.At.Add(step)
		case err != nil:
			return 0, err
		default:
			f.next = next
		}
	}
}
