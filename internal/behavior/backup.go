package behavior

import (
	"context"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// BackupRunner is a Runner of a database that can be backed up while it runs. Its methods are called beside the Runner's own; the
// heavy ones (a backup, a drill, a clone given away) take turns. All end with ctx, and leave nothing behind then.
type BackupRunner interface {
	Runner
	// TakeBackup stores a full backup as m, whose ID is set; what else m says it fills in. tell is called now and then with the
	// bytes taken so far.
	TakeBackup(ctx context.Context, c backup.Catalog, key backup.Key, m *backup.Manifest, tell func(bytes int64)) error
	// StoreLogs stores the binary logs that are not stored yet. All that was committed before until is stored then.
	StoreLogs(ctx context.Context, c backup.Catalog, key backup.Key) (until time.Time, err error)
	// Rehearse restores a backup beside the running server, or takes on the data that is there (Manifest.InPlace, on a temporary
	// instance), checks it, asks query if it is not "", and throws it away. err is of
	// what kept it from being tried; what was wrong with the backup stands in the report.
	Rehearse(ctx context.Context, c backup.Catalog, m backup.Manifest, key backup.Key, query string, tell func(doing string)) (backup.Drill, error)
}

// ManifestOf describes a snapshot as what a restore begins from.
func ManifestOf(s state.Snapshot) backup.Manifest {
	return backup.Manifest{ID: s.Name, Instance: s.Instance, Began: s.At, Ended: s.At, Plain: s.Bytes, Flavor: s.Flavor, Position: s.Position}
}
