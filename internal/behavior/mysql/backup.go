package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/dbbackup"
)

var _ behavior.BackupRunner = (*runner)(nil)

// drillDir is the rehearsed restore on the volume: worth nothing.
const drillDir = "drill"

// takeTurn waits until no clone is given away, no backup taken and nothing rehearsed: each is a load on the same disk.
func (r *runner) takeTurn(ctx context.Context) (release func(), err error) {
	for !r.busy.TryLock() {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(250 * time.Millisecond):
		}
	}
	return r.busy.Unlock, nil
}

// taker is of the running server; close its connection.
func (r *runner) taker(scratch string) (dbbackup.Taker, error) {
	if err := r.flavor.backsUp(); err != nil {
		return dbbackup.Taker{}, err
	}
	if _, err := r.started(); err != nil {
		return dbbackup.Taker{}, err
	}
	db, err := r.administrator()
	if err != nil {
		return dbbackup.Taker{}, err
	}
	return dbbackup.Taker{Run: r.Run, DB: db, Config: r.config.Path, Socket: r.Socket,
		Scratch: filepath.Join(r.RunDir, scratch), Instance: r.name, Now: time.Now}, nil
}

// administrator is a connection of the server's administrator's; close it.
func (r *runner) administrator() (*sql.DB, error) {
	c := driver.NewConfig()
	c.User, c.Net, c.Addr, c.InterpolateParams = "root", "unix", r.Socket, true
	connector, err := driver.NewConnector(c)
	if err != nil {
		return nil, fmt.Errorf("preparing to reach the server at %s: %w", r.Socket, err)
	}
	return sql.OpenDB(connector), nil
}

// TakeBackup implements behavior.BackupRunner.
func (r *runner) TakeBackup(ctx context.Context, c backup.Catalog, key backup.Key, m *backup.Manifest, tell func(int64)) error {
	release, err := r.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer release()
	t, err := r.taker("full")
	if err != nil {
		return err
	}
	defer t.DB.Close()
	a := r.accounts()
	m.Database, m.User = a.Database, a.User
	return t.Full(ctx, c, key, m, tell)
}

// StoreLogs implements behavior.BackupRunner.
func (r *runner) StoreLogs(ctx context.Context, c backup.Catalog, key backup.Key) (time.Time, error) {
	t, err := r.taker("logs")
	if err != nil {
		return time.Time{}, err
	}
	defer t.DB.Close()
	return t.Logs(ctx, c, key)
}

// Rehearse implements behavior.BackupRunner.
func (r *runner) Rehearse(ctx context.Context, c backup.Catalog, m backup.Manifest, key backup.Key, query string, tell func(string)) (backup.Drill, error) {
	release, err := r.takeTurn(ctx)
	if err != nil {
		return backup.Drill{}, err
	}
	defer release()
	top := r.volume.path(drillDir)
	defer os.RemoveAll(top)
	restorer, err := r.restorer(top, m, tell)
	if err != nil {
		return backup.Drill{}, err
	}
	d, err := restorer.Drill(ctx, c, m, key, query, time.Now)
	d.Instance = r.name
	return d, err
}

// restorer restores m into top/data, or takes on the data that is there. It refuses what the volume has no room for, before anything is
// written.
func (r *runner) restorer(top string, m backup.Manifest, tell func(string)) (dbbackup.Restorer, error) {
	if err := r.flavor.backsUp(); err != nil {
		return dbbackup.Restorer{}, err
	}
	if err := os.RemoveAll(top); err != nil {
		return dbbackup.Restorer{}, fmt.Errorf("removing a restore that was cut short: %w", err)
	}
	if m.InPlace {
		if r.isEmpty() {
			return dbbackup.Restorer{}, fmt.Errorf("snapshot %s holds no database", m.ID)
		}
		return dbbackup.Restorer{Run: r.Run, Config: r.config.Path, Dir: r.DataDir, Scratch: filepath.Join(top, "scratch"),
			Own: func(dir string) error { return own(dir, r.volume.owner) }, Doing: tell}, nil
	}
	need := m.Plain + m.Plain/10 + spare
	if free := r.volume.free(); free < need {
		return dbbackup.Restorer{}, fmt.Errorf("the volume has %d MB free and the restore of backup %s takes %d MB: give it a larger volume, or free some",
			free>>20, m.ID, need>>20)
	}
	if err := os.Mkdir(top, 0o755); err != nil {
		return dbbackup.Restorer{}, fmt.Errorf("making room for a restore: %w", err)
	}
	return dbbackup.Restorer{Run: r.Run, Config: r.config.Path, Dir: filepath.Join(top, dataDir), Scratch: filepath.Join(top, "scratch"),
		Own: func(dir string) error { return own(dir, r.volume.owner) }, Doing: tell}, nil
}
