package rival

import (
	"errors"
	"io"
	"math"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/trace"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/world"
)

const foresightSource = "a lower bound, nobody's product: it knows the trace. Launches so early that each server is up when it is needed, and keeps one that ending and launching again would not make cheaper"

// foresight knows what comes. A server is launched when it will be needed by the time it is up, and is kept over a lull
// that is shorter than its drain and the next one's boot, which are paid for as well. Within the envelope nothing is
// cheaper without being above target, but for crashes, which it does not foresee.
type foresight struct {
	feed  *trace.Feed
	line  float64
	tick  time.Duration
	boot  time.Duration // the longest
	keep  time.Duration
	known []int // servers needed at each tick from now on
	base  int   // tick of known[0]
	ended bool
	err   error
	began time.Time
}

func newForesight(e world.Envelope, o world.Options, source trace.Source) (world.Algorithm, error) {
	o.SetDefaults()
	r, err := source.Open()
	if err != nil {
		return nil, err
	}
	feed, err := trace.NewFeed(r)
	if err != nil {
		return nil, err
	}
	boot := time.Duration(float64(o.BootTime)*(1+o.BootJitter)) + o.Tick
	return &foresight{feed: feed, line: e.Line, tick: o.Tick, boot: boot, keep: boot + e.Drain, began: feed.Start()}, nil
}

func (f *foresight) Desired(s world.Sight) int {
	f.read(s.Now)
	soon := f.most(f.boot)
	return max(soon, min(s.Desired, f.most(f.keep)))
}

// read knows the trace as far as keep from now.
func (f *foresight) read(now time.Time) {
	at := int(now.Sub(f.began) / f.tick)
	if gone := min(at-f.base, len(f.known)); gone > 0 {
		f.known = f.known[gone:]
	}
	f.base = at
	for !f.ended && len(f.known) <= int(f.keep/f.tick)+1 {
		from := f.began.Add(time.Duration(f.base+len(f.known)) * f.tick)
		demand, err := f.feed.Mean(from, from.Add(f.tick))
		if err != nil {
			f.ended = true
			if !errors.Is(err, io.EOF) {
				f.err = err
			}
			_ = f.feed.Close()
			return
		}
		f.known = append(f.known, int(math.Ceil(demand/f.line-1e-9)))
	}
}

// most is the highest need within a time from now.
func (f *foresight) most(within time.Duration) int {
	n := 0
	for i := range min(len(f.known), int(within/f.tick)+1) {
		n = max(n, f.known[i])
	}
	return n
}
