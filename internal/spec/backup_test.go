package spec

import (
	"strings"
	"testing"
	"time"
)

func backup(change func(*Backup)) Backup {
	b := Backup{To: "s3://b/p"}
	b.SetDefaults()
	b.DrillCron = DefaultDrillCron
	change(&b)
	return b
}

func TestBackupValidate(t *testing.T) {
	for want, change := range map[string]func(*Backup){
		"":                                  func(*Backup) {},
		"backup.to: \"\" is no place":       func(b *Backup) { b.To = "" },
		"backup.to: \"/srv\" is no place":   func(b *Backup) { b.To = "/srv" },
		"backup.to: \"file://h/x\" is no":   func(b *Backup) { b.To = "file://h/x" },
		"backup.to: \"s3://b?x=1\" is no":   func(b *Backup) { b.To = "s3://b?x=1" },
		"backup.to: \"file:///\" is no":     func(b *Backup) { b.To = "file:///" },
		"backup.zone: \"Mars\" is no time":  func(b *Backup) { b.Zone = "Mars" },
		"backup.cron: \"daily\" is no":      func(b *Backup) { b.Cron = "daily" },
		"backup.cron: \"0 0 31 2 *\" never": func(b *Backup) { b.Cron = "0 0 31 2 *" },
		"backup.drill.cron: \"1\" is no":    func(b *Backup) { b.DrillCron = "1" },
		"backup.window: a window of 1s":     func(b *Backup) { b.Window = Duration(time.Second) },
		"backup.log_every: a binary log":    func(b *Backup) { b.LogEvery = Duration(time.Second) },
		"backup.drill.on: a restore cannot": func(b *Backup) { b.DrillOn = "moon" },
		"backup.snapshots.cron: \"1\" is":   func(b *Backup) { b.Snapshots = &Snapshots{Cron: "1", Keep: 1} },
		"backup.snapshots.keep: -1 snap":    func(b *Backup) { b.Snapshots = &Snapshots{Cron: "0 * * * *", Keep: -1} },
		"backup.weekly: -1 backups cannot":  func(b *Backup) { b.Weekly = -1 },
	} {
		var got []string
		for _, p := range backup(change).Validate() {
			got = append(got, p.Attribute+": "+p.Summary)
			if p.Advice == "" {
				t.Errorf("%s: no advice", p.Attribute)
			}
		}
		if all := strings.Join(got, "\n"); want == "" && all != "" || !strings.HasPrefix(all, want) || len(got) > 1 {
			t.Errorf("want %q, got %q", want, all)
		}
	}
}

func TestBackupDue(t *testing.T) {
	paris := time.FixedZone("CET", 3600)
	b := backup(func(b *Backup) { b.Zone = "Europe/Paris" })
	last, next := b.Due(time.Date(2026, 1, 5, 2, 59, 0, 0, paris))
	if !last.Equal(time.Date(2026, 1, 4, 3, 0, 0, 0, paris)) || !next.Equal(time.Date(2026, 1, 5, 3, 0, 0, 0, paris)) {
		t.Errorf("%s, %s", last, next)
	}
	last, _ = b.Due(time.Date(2026, 1, 5, 3, 0, 0, 0, paris))
	if !last.Equal(time.Date(2026, 1, 5, 3, 0, 0, 0, paris)) {
		t.Errorf("at the moment itself: %s", last)
	}
	b.Cron = "0 3 29 2 *" // once in four years
	if last, next := b.Due(time.Date(2025, 12, 5, 3, 0, 0, 0, paris)); last.Year() != 2024 || next.Year() != 2028 {
		t.Errorf("%s, %s", last, next)
	}
	b.DrillCron = ""
	if last, next := b.DrillDue(time.Now()); !last.IsZero() || !next.IsZero() {
		t.Errorf("without drills: %s, %s", last, next)
	}
}

func TestParseBackupTarget(t *testing.T) {
	for to, want := range map[string]BackupTarget{
		"s3://bucket":               {Bucket: "bucket"},
		"s3://bucket/a/b/":          {Bucket: "bucket", Path: "a/b"},
		"file:///srv/backups/shop/": {Path: "/srv/backups/shop"},
	} {
		if got, err := ParseBackupTarget(to); err != nil || got != want {
			t.Errorf("%s: %+v, %v", to, got, err)
		}
	}
}
