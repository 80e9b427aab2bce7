package measure

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/procfs"
)

// bandwidth measures the traffic over all interfaces but the loopback, in Mbit/s. Each interface has a counter of its
// own: one that comes or goes, or whose driver was loaded again, does not distort the others.
type bandwidth struct {
	proc    string
	outward bool
	cards   map[string]*counter
}

const bitsPerMegabit = 1e6

func (b *bandwidth) measure(_ context.Context, now time.Time) (float64, error) {
	fs, err := procfs.NewFS(b.proc)
	if err != nil {
		return 0, fmt.Errorf("opening /proc: %w", err)
	}
	devices, err := fs.NetDev()
	if err != nil {
		return 0, err
	}
	if b.cards == nil {
		b.cards = map[string]*counter{}
	}
	total, counted := 0.0, false
	for name, d := range devices {
		if name == "lo" {
			continue
		}
		if b.cards[name] == nil {
			b.cards[name] = &counter{}
		}
		bytes := d.RxBytes
		if b.outward {
			bytes = d.TxBytes
		}
		// On the first look at it, and when it was set back, what went over it meanwhile is not known.
		if rate, err := b.cards[name].rate(float64(bytes), now, ""); err == nil {
			total, counted = total+rate, true
		}
	}
	for name := range b.cards {
		if _, there := devices[name]; !there {
			delete(b.cards, name)
		}
	}
	if !counted {
		return 0, errNotYet
	}
	return total * 8 / bitsPerMegabit, nil
}
