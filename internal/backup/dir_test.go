package backup_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/backup/backuptest"
)

func newDir(t *testing.T) backup.Target {
	d, err := backup.OpenDir(filepath.Join(t.TempDir(), "backups"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDir(t *testing.T) { backuptest.Run(t, newDir) }

func TestOpenDir(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"relative":                        "absolute",
		filepath.Join(t.TempDir(), "a/b"): "mount",
		file:                              "not a folder",
	} {
		if _, err := backup.OpenDir(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
