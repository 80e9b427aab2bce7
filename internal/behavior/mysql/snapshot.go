package mysql

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// takeCopyOver makes data that came with a snapshot of another server's volume this server's own: it has another id, the position that
// the data is of, and no history of its own. It is the clone that it would have fetched.
func (r *runner) takeCopyOver() error {
	if r.isEmpty() {
		return nil
	}
	m := r.mark()
	if m.Instance == "" || m.Instance == r.name {
		return nil
	}
	kept, err := r.volume.aside()
	if err != nil {
		return err
	}
	for _, name := range kept { // that server's, which has it still
		if err := os.RemoveAll(r.volume.path(name)); err != nil {
			return fmt.Errorf("removing what a snapshot brought of %s: %w", m.Instance, err)
		}
	}
	// MySQL's id of a server.
	if err := os.Remove(filepath.Join(r.DataDir, "auto.cnf")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("making data that was copied from %s this server's own: %w", m.Instance, err)
	}
	r.say("the volume was made of a snapshot of %s's", m.Instance)
	return writeMark(r.DataDir, mark{Instance: r.name, ServerID: r.newServerID(0), Seed: true})
}

// setUpTemporary sets an instance up that is there for one task: a rehearsal needs no server, and a restore one that gives out what a
// snapshot holds, and does nothing else with it.
func (r *runner) setUpTemporary(ctx context.Context, step func(string)) error {
	t := r.Assignment.Backup
	if t == nil || t.Kind != state.BackupRestore {
		return nil
	}
	if r.isEmpty() {
		return errors.New("the snapshot holds no database")
	}
	step("start")
	if err := r.start(ctx, nil); err != nil {
		return err
	}
	live, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	r.mu.Lock()
	r.stop = cancel
	r.mu.Unlock()
	for _, work := range []func(context.Context){r.giveClones, r.keepCertificates} {
		r.workers.Go(func() { r.persist(live, work) })
	}
	return nil
}
