package engine

import (
	"fmt"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// tasksTried is how often something is tried that fails because the place of the backups cannot be reached. Every try is patient by
// itself for some minutes; with the pauses between them it is three quarters of an hour.
const tasksTried = 5

// tryAgain has a task begun again in a while, and tells whether it is. What the schedule asks for is begun anew within its window
// anyhow.
func (p *pass) tryAgain(b *state.Backups, t state.BackupTask) bool {
	if t.Tries+1 >= tasksTried {
		return false
	}
	t.Asked = orElse(t.Asked, t.ID)
	t.Tries++
	t.Server, t.Temporary, t.Snapshot = "", false, nil
	if t.Kind != state.BackupFull { // else its id is its moment, see beginAgain
		t.ID = fmt.Sprintf("%s-%d", t.Asked, t.Tries+1)
	}
	b.Again, b.RetryAt = &t, p.now.Add(backupFirstRetry<<(t.Tries-1))
	return true
}

// beginAgain begins what failed for a cause that may have passed.
func (p *pass) beginAgain(b *state.Backups) {
	t := *b.Again
	if t.Kind == state.BackupFull {
		t.ID = p.now.UTC().Format("20060102T150405Z")
	}
	switch t.Kind {
	case state.BackupRestore:
		p.beginRestore(b, t)
	default:
		p.begin(b, t, "asked for before"+tryOf(t))
	}
	if b.Task != nil {
		b.Again, b.RetryAt = nil, time.Time{}
	}
}

// tryOf is ", try 2" of a second one.
func tryOf(t state.BackupTask) string {
	if t.Tries == 0 {
		return ""
	}
	return fmt.Sprintf(", try %d", t.Tries+1)
}
