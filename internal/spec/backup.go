package spec

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

// Backup is how a database role is backed up. What it is encrypted with is a secret of the role (state.BackupKey), never here.
type Backup struct {
	// To is "s3://BUCKET/PREFIX" or "file:///FOLDER", a folder of the machine that the sidecar runs on.
	To   string `json:"to"`
	Cron string `json:"cron"` // five fields, in Zone: when a full backup is due
	Zone string `json:"zone"` // IANA name
	// Window is how long after it fell due a backup may still begin; later it is missed, and said to be.
	Window Duration `json:"window"`
	// Daily, Weekly and Monthly are how many days, weeks and months keep their newest backup.
	Daily   int `json:"daily"`
	Weekly  int `json:"weekly"`
	Monthly int `json:"monthly"`
	// LogEvery is how often at most the binary log is closed and stored: what a disaster that takes every server costs.
	LogEvery Duration `json:"log_every"`
	// NoLogs: binary logs are not stored, and only the moments of full backups can be restored.
	NoLogs bool `json:"no_logs,omitempty"`
	// DrillCron is when the newest backup is restored for practice, in Zone; "" for never.
	DrillCron string `json:"drill_cron,omitempty"`
	// DrillQuery is asked of the restored database; its first row goes into the report, and an error or no row fails the drill.
	DrillQuery string `json:"drill_query,omitempty"`
	// DrillOn is where, one of DrillPlaces.
	DrillOn string `json:"drill_on,omitempty"`
	// Snapshots are taken of a replica's data volume beside the full backups; nil for none.
	Snapshots *Snapshots `json:"snapshots,omitempty"`
	// Encrypted: a key is declared; see the role's backup_key_wo.
	Encrypted bool `json:"encrypted,omitempty"`
	// KeyVersion is that of backup_key_wo; 0 for no key.
	KeyVersion int64 `json:"key_version,omitempty"`
}

// Defaults of a backup.
const (
	DefaultBackupCron   = "0 3 * * *" // when most sites sleep
	DefaultBackupZone   = "UTC"
	DefaultBackupWindow = Duration(3 * time.Hour)
	// DefaultBackupDaily and the others: a week by days, a month by weeks, half a year by months.
	DefaultBackupDaily   = 7
	DefaultBackupWeekly  = 4
	DefaultBackupMonthly = 6
	// DefaultLogEvery: RDS stores its transaction logs every five minutes; a minute costs one small object.
	DefaultLogEvery = Duration(time.Minute)
	// DefaultDrillCron: on Sundays, after the night's backup.
	DefaultDrillCron = "0 7 * * 0"
)

// Where a restore is rehearsed.
const (
	// DrillOnInstance: on an instance that is launched for it and ended after it; it proves that a machine can be had, too, and
	// disturbs nobody.
	DrillOnInstance = "temporary_instance"
	// DrillOnReplica: beside a running server of the role, on its volume.
	DrillOnReplica = "replica"
)

// DrillPlaces are what DrillOn may be; the first is the default.
var DrillPlaces = []string{DrillOnInstance, DrillOnReplica}

// SetDefaults fills in what was left out. Numbers of backups to keep are filled in only where none is given.
func (b *Backup) SetDefaults() {
	orDefault(&b.Cron, DefaultBackupCron)
	orDefault(&b.Zone, DefaultBackupZone)
	orDefault(&b.Window, DefaultBackupWindow)
	orDefault(&b.LogEvery, DefaultLogEvery)
	orDefault(&b.DrillOn, DrillOnInstance)
	if b.Snapshots != nil {
		b.Snapshots.SetDefaults()
	}
	if b.Daily == 0 && b.Weekly == 0 && b.Monthly == 0 {
		b.Daily, b.Weekly, b.Monthly = DefaultBackupDaily, DefaultBackupWeekly, DefaultBackupMonthly
	}
}

// Due is the last moment not after now at which a backup fell due, and Next the first one after it.
func (b Backup) Due(now time.Time) (last, next time.Time) { return firings(b.Cron, b.Zone, now) }

// DrillDue is Due of the drill; zero times where there is none.
func (b Backup) DrillDue(now time.Time) (last, next time.Time) {
	if b.DrillCron == "" {
		return last, next
	}
	return firings(b.DrillCron, b.Zone, now)
}

// lookBack is the longest pause between two firings of a schedule that is understood: a yearly one.
const lookBack = 366 * 24 * time.Hour

func firings(expression, zone string, now time.Time) (last, next time.Time) {
	s := Schedule{Cron: expression, Zone: zone}
	next = s.Next(now)
	// The span is widened until it holds a firing, so that a daily schedule costs two steps and not four hundred.
	for span := time.Hour; span <= 2*lookBack; span *= 4 {
		for t := s.Next(now.Add(-span)); !t.IsZero() && !t.After(now); t = s.Next(t) {
			last = t
		}
		if !last.IsZero() {
			return last, next
		}
	}
	return last, next
}

// Validate tells what is wrong with it; attributes are relative to the role ("backup.to").
func (b Backup) Validate() []Problem {
	var problems []Problem
	add := func(attribute, summary, advice string) {
		problems = append(problems, Problem{Attribute: "backup." + attribute, Summary: summary, Advice: advice})
	}
	if _, err := ParseBackupTarget(b.To); err != nil {
		add("to", err.Error(), "Write s3://bucket/prefix, or file:///folder for a folder of the machine that the sidecar runs on.")
	}
	zone, err := loadZone(b.Zone)
	if err != nil {
		add("zone", fmt.Sprintf("%q is no time zone: %v", b.Zone, err), `Write an IANA name such as "Europe/Paris", or "UTC".`)
	}
	schedules := map[string]string{"cron": b.Cron}
	if b.DrillCron != "" {
		schedules["drill.cron"] = b.DrillCron
	}
	if b.Snapshots != nil {
		schedules["snapshots.cron"] = b.Snapshots.Cron
		problems = append(problems, b.Snapshots.validate()...)
	}
	if !slices.Contains(DrillPlaces, b.DrillOn) {
		add("drill.on", fmt.Sprintf("a restore cannot be rehearsed on %q", b.DrillOn), "Choose one of: "+strings.Join(DrillPlaces, ", ")+".")
	}
	for attribute, expression := range schedules {
		if c, err := parseCron(expression); err != nil {
			add(attribute, fmt.Sprintf("%q is no schedule: %v", expression, err), "Write five fields: minute, hour, day of the month, month, day of the week.")
		} else if zone != nil && c.Next(time.Unix(0, 0)).IsZero() {
			add(attribute, fmt.Sprintf("%q never comes", expression), "Choose a day that exists.")
		}
	}
	if b.Window < Duration(time.Minute) {
		add("window", fmt.Sprintf("a window of %s is shorter than the sidecar may need to begin", b.Window), `Set at least "1m".`)
	}
	if !b.NoLogs && b.LogEvery < Duration(5*time.Second) {
		add("log_every", fmt.Sprintf("a binary log every %s would be mostly overhead", b.LogEvery), `Set at least "5s", or binary_logs = false.`)
	}
	for attribute, n := range map[string]int{"daily": b.Daily, "weekly": b.Weekly, "monthly": b.Monthly} {
		if n < 0 || n > 1000 {
			add(attribute, fmt.Sprintf("%d backups cannot be kept", n), "Set a number from 0 to 1000.")
		}
	}
	return problems
}

// BackupTarget is where backups lie.
type BackupTarget struct {
	Bucket string // of S3; "" for a folder
	Path   string // prefix in the bucket, or the folder
}

// ParseBackupTarget reads Backup.To.
func ParseBackupTarget(to string) (BackupTarget, error) {
	u, err := url.Parse(to)
	if err != nil {
		return BackupTarget{}, fmt.Errorf("%q is no place for backups: %w", to, err)
	}
	switch {
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
	case u.Scheme == "s3" && u.Host != "":
		return BackupTarget{Bucket: u.Host, Path: strings.Trim(u.Path, "/")}, nil
	case u.Scheme == "file" && u.Host == "" && path.IsAbs(u.Path) && path.Clean(u.Path) != "/":
		return BackupTarget{Path: path.Clean(u.Path)}, nil
	}
	return BackupTarget{}, fmt.Errorf("%q is no place for backups", to)
}
