package ledger

import "time"

// tank bounds what one role's ledger grows by where nothing is done: 4 bytes a second are 10 MB in 30 days, so that
// 100 roles take 1 GB of their 2, and the other is left for records of what is done (which are always written, and
// counted here too) and for what the store adds. What does not fit is folded.
type tank struct {
	level float64 // bytes that may be written; below zero after much was done
	at    time.Time
}

const (
	inflow = 4.0      // bytes a second
	full   = 64 << 10 // half a day's, for a day that is livelier than most
	// deepest: a wild hour is forgotten after two quiet ones.
	deepest = -32 << 10
)

func (t *tank) fill(now time.Time) {
	if t.at.IsZero() {
		t.level = full
	} else if passed := now.Sub(t.at); passed > 0 {
		t.level = min(full, t.level+inflow*passed.Seconds())
	}
	t.at = now
}

// allows tells whether a record of that size may be added that nobody would miss.
func (t *tank) allows(now time.Time, size int) bool {
	t.fill(now)
	return t.level >= float64(min(size, full))
}

func (t *tank) take(now time.Time, size int) {
	t.fill(now)
	t.level = max(deepest, t.level-float64(size))
}
