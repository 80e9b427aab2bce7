package sidecar

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// TestPlaceWithoutFarm: whose backups lie somewhere, and what of one, without any store.
func TestPlaceWithoutFarm(t *testing.T) {
	to, _ := keepBackupsOf(t, "old", "db", "1", [2]uint64{5, 40})
	none := filepath.Join(t.TempDir(), "none")
	for _, c := range []struct {
		args []string
		want int
		says string
	}{
		{[]string{"backups", "--to", to}, ExitOK, "old/db     2        20260302T030035Z  1"},
		{[]string{"backups", "--to", to, "--json"}, ExitOK, `"newest":"20260302T030035Z"`},
		{[]string{"backups", "--to", to, "old/db"}, ExitOK, "0-7-40"},
		{[]string{"backups", "--to", to, "old/db", "--json"}, ExitOK, `"restorable_until":"2026-03-02T03:00:40Z"`},
		{[]string{"backups", "--to", to, "db"}, ExitUsage, "write FARM/ROLE"},
		{[]string{"backups", "--to", to, "old/other"}, ExitAbsent, "nobody has stored backups of old/other"},
		{[]string{"backups", "--to", "file://" + none}, ExitAbsent, "there are no backups in"},
		{[]string{"backups", "--to", "/srv"}, ExitUsage, "s3://BUCKET/PREFIX"},
		{[]string{"backups"}, ExitUsage, "name the role"},
	} {
		code, out, stderr := farmhand(t, append(c.args, "--state-dir", none)...)
		if code != c.want || !strings.Contains(out+stderr, c.says) {
			t.Errorf("%v: %d, %s%s; want %d, %q", c.args, code, out, stderr, c.want, c.says)
		}
	}
	if _, err := os.Stat(none); !os.IsNotExist(err) {
		t.Error("looking made a folder")
	}
}

// TestRestoreFrom: what --from and --from-to mean.
func TestRestoreFrom(t *testing.T) {
	role := spec.Role{Farm: "shop", Name: "db"}
	for _, c := range []struct {
		from, to             string
		farm, role, at, says string // at: FromTo
	}{
		{from: ""},
		{from: "db"},
		{from: "copy", role: "copy"},
		{from: "shop/copy", role: "copy"},
		{from: "shop/db", farm: "shop", role: "db"}, // said in so many words: also if another farm of that name left them
		{from: "old/db", farm: "old", role: "db"},
		{from: "old/db", to: "s3://left", farm: "old", role: "db", at: "s3://left"},
		{from: "shop/db", to: "s3://left", farm: "shop", role: "db", at: "s3://left"},
		{from: "", to: "s3://left", says: "--from FARM/ROLE"},
		{from: "db", to: "s3://left", says: "--from FARM/ROLE"},
		{from: "old/db/x", says: "write ROLE, or FARM/ROLE"},
		{from: "/db", says: "write ROLE, or FARM/ROLE"},
		{from: "old/db", to: "left", says: "s3://BUCKET/PREFIX"},
	} {
		var task state.BackupTask
		err := restoreFrom(&task, spec.Farm{Name: "shop"}, role, c.from, c.to)
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q %q: %v", c.from, c.to, err)
			}
			continue
		}
		if err != nil || task.FromFarm != c.farm || task.From != c.role || task.FromTo != c.at {
			t.Errorf("%q %q: %+v, %v", c.from, c.to, task, err)
		}
	}
	var task state.BackupTask
	if err := restoreFrom(&task, spec.Farm{Name: "shop", AWS: &spec.AWS{}}, role, "old/db", "file:///left"); err == nil || !strings.Contains(err.Error(), "copy them to a bucket") {
		t.Errorf("a folder, for servers on EC2: %v", err)
	}
}

// TestRestoreFromElsewhere: what can be seen to go wrong is refused before the farm is asked, and the key goes into the role's secret and
// nowhere else.
func TestRestoreFromElsewhere(t *testing.T) {
	dir, s := declare(t, 1, 1)
	put(t, s, state.RoleKey("shop", "db"), state.Declared[spec.Role]{Spec: spec.Role{Farm: "shop", Name: "db", Behavior: "mysql", Backup: &spec.Backup{To: "file:///nowhere"}}})
	own, _ := backup.NewKey()
	theirs, _ := backup.NewKey()
	put(t, s, state.SecretKey("shop", "db"), map[string]string{state.BackupKey: own.Secret(), "db_password": "x"})
	to, c := keepBackupsOf(t, "old", "db", "9")
	m := backup.Manifest{ID: "20260303T030000Z", Position: "0-7-50", Database: "blog", User: "app"}
	if err := c.StoreFull(t.Context(), &m, theirs, func(io.Writer) error { return nil }); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("# public key: "+theirs.Public()+"\n"+theirs.Secret()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	restore := func(args ...string) (int, string) {
		code, out, stderr := farmhand(t, append([]string{"restore", "shop/db", "--to", "latest", "--state-dir", dir}, args...)...)
		return code, out + stderr
	}
	secret := func() map[string]string {
		v, _, err := store.GetJSON[map[string]string](t.Context(), s, state.SecretKey("shop", "db"))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct {
		args string
		want int
		says string
	}{
		{"--from old/nope --from-to " + to, ExitAbsent, "no backup of old/nope"},
		{"--from old/db --from-to " + to, ExitFailure, "give its own with --from-key-file"},
		{"--from-key-file " + file, ExitUsage, "name it with --from FARM/ROLE"},
		{"--from old/db --from-to " + to + " --from-key-file " + dir + "/farmhand.db", ExitFailure, "wrong key"},
	} {
		if code, said := restore(strings.Fields(c.args)...); code != c.want || !strings.Contains(said, c.says) {
			t.Errorf("%s: %d, %s", c.args, code, said)
		}
	}
	if _, ok := secret()[state.RestoreKey]; ok {
		t.Error("a restore that is refused leaves its key")
	}
	code, said := restore("--from", "old/db", "--from-to", to, "--from-key-file", file)
	if code != ExitOK || !strings.Contains(said, `settings.database of shop/db is "app", and of the role that was backed up it was "blog"`) {
		t.Fatalf("%d, %s", code, said)
	}
	wish, _, err := store.GetJSON[state.BackupTask](t.Context(), s, state.BackupWishKey("shop", "db"))
	if err != nil || wish.FromFarm != "old" || wish.From != "db" || wish.FromTo != to || !wish.FromKey || wish.Force {
		t.Fatalf("%+v, %v", wish, err)
	}
	if v := secret(); v[state.RestoreKey] != theirs.Secret() || v[state.BackupKey] != own.Secret() || v["db_password"] != "x" {
		t.Error("the secret is not what it was and the key")
	}
	all, err := s.List(t.Context(), "shop/")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.Key != state.SecretKey("shop", "db") && strings.Contains(string(e.Value), theirs.Secret()) {
			t.Errorf("the key stands under %s", e.Key)
		}
	}
	if code, said := restore("--from", "old/db", "--from-to", to, "--from-key-file", file); code != ExitFailure || !strings.Contains(said, "already") || secret()[state.RestoreKey] == "" {
		t.Errorf("a second one before the first is taken up: %d, %s", code, said)
	}
}

// TestReadKey: from standard input, too.
func TestReadKey(t *testing.T) {
	k, _ := backup.NewKey()
	if got, err := readKey("-", strings.NewReader("\n"+k.Secret()+"\n")); err != nil || got != k.Secret() {
		t.Errorf("%v", err)
	}
	if _, err := readKey("-", strings.NewReader("# nothing\n")); err == nil {
		t.Error("no key was taken")
	}
	if _, err := readKey("-", strings.NewReader("hunter2")); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}
