package sidecar

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// keepBackupsOf stores backups and binary logs in a folder: a full of transaction 10, one of 35, and logs of the numbers given.
func keepBackupsOf(t *testing.T, farm, role, uid string, logs ...[2]uint64) (to string, c backup.Catalog) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "backups")
	target, err := backup.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	c = backup.Catalog{Target: target, Farm: farm, Role: role, UID: uid}
	began := time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC)
	if err := c.Claim(t.Context(), began); err != nil {
		t.Fatal(err)
	}
	write := func(w io.Writer) error { _, err := io.WriteString(w, "data"); return err }
	second := func(n uint64) time.Time { return began.Add(time.Duration(n) * time.Second) }
	for _, n := range []uint64{10, 35} {
		m := backup.Manifest{ID: backup.NewID(second(n)), Instance: role + "-2", Began: second(n), Ended: second(n), Flavor: "mariadb", Position: fmt.Sprintf("0-7-%d", n)}
		if err := c.StoreFull(t.Context(), &m, backup.Key{}, write); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range logs {
		l := backup.Log{First: second(s[0]), Last: second(s[1]), Server: role + "-1.7", File: fmt.Sprintf("bin.%06d", s[0]), Begin: s[0], End: s[1], Position: fmt.Sprintf("0-7-%d", s[1])}
		if err := c.StoreLog(t.Context(), l, backup.Key{}, write); err != nil {
			t.Fatal(err)
		}
	}
	return "file://" + dir, c
}

// TestBackupsTellsGaps: spans of time, and what lacks between, in words and in JSON.
func TestBackupsTellsGaps(t *testing.T) {
	dir, s := declare(t, 1, 1)
	to, _ := keepBackupsOf(t, "shop", "db", "1", [2]uint64{5, 20}, [2]uint64{31, 40})
	put(t, s, state.RoleKey("shop", "db"), state.Declared[spec.Role]{Spec: spec.Role{Farm: "shop", Name: "db", Backup: &spec.Backup{To: to}}})
	put(t, s, state.BackupsKey("shop", "db"), state.Backups{Log: time.Date(2026, 3, 2, 3, 20, 0, 0, time.UTC)})
	code, out, stderr := farmhand(t, "backups", "shop/db", "--state-dir", dir)
	if code != 0 {
		t.Fatal(stderr)
	}
	words := strings.Join(strings.Fields(out), " ")
	for _, want := range []string{
		"2026-03-02T03:00:10Z 2026-03-02T03:00:20Z 0-7-20 20260302T030010Z",
		"2026-03-02T03:00:35Z 2026-03-02T03:20:00Z 0-7-40 20260302T030035Z", // idle since, and looked for until then
		"GAP: transactions 21 to 30, from between 2026-03-02 03:00:20 and 2026-03-02 03:00:31, are in no stored binary log",
	} {
		if !strings.Contains(words, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	code, out, stderr = farmhand(t, "backups", "shop/db", "--json", "--state-dir", dir)
	var l struct {
		Spans []backup.Span
		Gaps  []backup.Gap
		Until time.Time `json:"restorable_until"`
	}
	if code != 0 || json.Unmarshal([]byte(out), &l) != nil || len(l.Spans) != 2 || len(l.Gaps) != 1 || l.Gaps[0].First != 21 || !l.Until.Equal(time.Date(2026, 3, 2, 3, 20, 0, 0, time.UTC)) {
		t.Errorf("%d, %s%s", code, out, stderr)
	}
}
