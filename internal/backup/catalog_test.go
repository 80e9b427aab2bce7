package backup_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
)

var began = time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC)

func catalog(t *testing.T) backup.Catalog {
	return backup.Catalog{Target: newDir(t), Farm: "shop", Role: "mysql", UID: "1"}
}

func take(t *testing.T, c backup.Catalog, at time.Time, key backup.Key, text string) backup.Manifest {
	t.Helper()
	m := backup.Manifest{ID: backup.NewID(at), Instance: "mysql-2", Began: at}
	err := c.StoreFull(t.Context(), &m, key, func(w io.Writer) error {
		m.Ended, m.Position = at.Add(time.Minute), "0-1-42"
		_, err := io.WriteString(w, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func newKey(t *testing.T) backup.Key {
	t.Helper()
	k, err := backup.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func restore(t *testing.T, c backup.Catalog, m backup.Manifest, key backup.Key) (string, error) {
	t.Helper()
	r, err := c.OpenFull(t.Context(), m, key)
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	return string(b), err
}

func TestFull(t *testing.T) {
	text := strings.Repeat("pages of tables ", 1<<16)
	for _, key := range []backup.Key{{}, newKey(t)} {
		c := catalog(t)
		m := take(t, c, began, key, text)
		if m.Plain != int64(len(text)) || m.Stored == 0 || m.Stored > m.Plain/10 {
			t.Errorf("%s: %d bytes became %d", key, m.Plain, m.Stored)
		}
		found, err := c.Find(t.Context(), "", time.Time{})
		if err != nil || found.Position != "0-1-42" || found.Key != key.Public() {
			t.Fatalf("%+v, %v", found, err)
		}
		if got, err := restore(t, c, found, key); err != nil || got != text {
			t.Errorf("%s: %d bytes came back, %v", key, len(got), err)
		}
		if _, err := restore(t, c, found, newKey(t)); !errors.Is(err, backup.ErrKey) {
			t.Errorf("with another key: %v", err)
		}
	}
}

// TestKeyWithoutManifest: the key is checked by the stream itself too.
func TestKeyWithoutManifest(t *testing.T) {
	c, key := catalog(t), newKey(t)
	m := take(t, c, began, key, "text")
	m.Key = ""
	if _, err := restore(t, c, m, backup.Key{}); !errors.Is(err, backup.ErrKey) {
		t.Errorf("without a key: %v", err)
	}
	other := newKey(t)
	m.Key = other.Public()
	if _, err := restore(t, c, m, other); !errors.Is(err, backup.ErrKey) {
		t.Errorf("with another key: %v", err)
	}
}

func TestDamage(t *testing.T) {
	for _, key := range []backup.Key{{}, newKey(t)} {
		c := catalog(t)
		text := strings.Repeat("pages of tables ", 1<<16)
		m := take(t, c, began, key, text)
		r, err := c.Target.Get(t.Context(), "shop/mysql/full/"+m.ID+"/data")
		if err != nil {
			t.Fatal(err)
		}
		whole, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			t.Fatal(err)
		}
		for name, bytes := range map[string]string{
			"cut off": string(whole[:len(whole)*2/3]),
			"flipped": string(whole[:len(whole)-30]) + string(whole[len(whole)-30]^1) + string(whole[len(whole)-29:]),
			"longer":  string(whole) + "x",
			"empty":   "",
		} {
			if _, err := c.Target.Put(t.Context(), "shop/mysql/full/"+m.ID+"/data", strings.NewReader(bytes)); err != nil {
				t.Fatal(err)
			}
			if _, err := restore(t, c, m, key); !errors.Is(err, backup.ErrDamaged) {
				t.Errorf("%s, %s: %v", key, name, err)
			}
		}
	}
}

func TestParseKey(t *testing.T) {
	k := newKey(t)
	again, err := backup.ParseKey(k.Secret() + "\n") // as file() gives it
	if err != nil || again.Public() != k.Public() {
		t.Errorf("%v, %v", again, err)
	}
	for _, s := range []string{"hunter2", "AGE-SECRET-KEY-1QQQ", k.Public()} {
		if _, err := backup.ParseKey(s); !errors.Is(err, backup.ErrKey) || strings.Contains(err.Error(), s) {
			t.Errorf("%q: %v", s, err)
		}
	}
	if s := fmt.Sprintf("%v %s", k, k); strings.Contains(s, "SECRET") {
		t.Errorf("a key shows itself: %s", s)
	}
}

// TestInterrupted: a tool that dies leaves no backup and no object.
func TestInterrupted(t *testing.T) {
	c, died := catalog(t), errors.New("mariabackup: exit status 1")
	m := backup.Manifest{ID: backup.NewID(began)}
	err := c.StoreFull(t.Context(), &m, backup.Key{}, func(w io.Writer) error {
		_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
		return died
	})
	if !errors.Is(err, died) {
		t.Errorf("%v", err)
	}
	if objects, err := c.Target.List(t.Context(), ""); err != nil || len(objects) != 0 {
		t.Errorf("left: %v, %v", objects, err)
	}
	if _, err := c.Find(t.Context(), "", time.Time{}); !errors.Is(err, backup.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func TestClaim(t *testing.T) {
	c := catalog(t)
	for range 2 {
		if err := c.Claim(t.Context(), began); err != nil {
			t.Fatal(err)
		}
	}
	other := c
	other.UID = "2"
	if err := other.Claim(t.Context(), began); !errors.Is(err, backup.ErrForeign) {
		t.Errorf("%v", err)
	}
	if err := other.CheckOwn(t.Context()); !errors.Is(err, backup.ErrForeign) || !strings.Contains(err.Error(), "--from shop/mysql") {
		t.Errorf("reading it as one's own: %v", err)
	}
	if o, err := other.Owner(t.Context()); err != nil || o.UID != "1" || c.CheckOwn(t.Context()) != nil {
		t.Errorf("%+v, %v", o, err)
	}
	other.Role = "mysql2"
	if err := other.CheckOwn(t.Context()); err != nil {
		t.Errorf("nobody's: %v", err)
	}
	if err := other.Claim(t.Context(), began); err != nil {
		t.Errorf("another role: %v", err)
	}
}

func TestFindUntil(t *testing.T) {
	c := catalog(t)
	for day := range 3 {
		take(t, c, began.AddDate(0, 0, day), backup.Key{}, "x")
	}
	m, err := c.Find(t.Context(), "", began.AddDate(0, 0, 1).Add(time.Hour))
	if err != nil || m.ID != "20260303T030000Z" {
		t.Errorf("%s, %v", m.ID, err)
	}
	// A backup shows the moment of its end, not of its beginning.
	if m, err := c.Find(t.Context(), "", began.AddDate(0, 0, 2).Add(time.Second)); err != nil || m.ID != "20260303T030000Z" {
		t.Errorf("%s, %v", m.ID, err)
	}
	if _, err := c.Find(t.Context(), "", began); !errors.Is(err, backup.ErrNotFound) || !strings.Contains(err.Error(), "2026-03-02 03:01:00") {
		t.Errorf("%v", err)
	}
	if _, err := c.Find(t.Context(), "nonsense", time.Time{}); !errors.Is(err, backup.ErrNotFound) || !strings.Contains(err.Error(), "20260304T030000Z") {
		t.Errorf("%v", err)
	}
}

func TestLogs(t *testing.T) {
	c, key := catalog(t), newKey(t)
	for minute := range 4 {
		l := backup.Log{First: began.Add(time.Duration(minute) * time.Minute), Last: began.Add(time.Duration(minute)*time.Minute + 59*time.Second), Server: "mysql-1", File: fmt.Sprintf("bin.%06d", minute+1)}
		if err := c.StoreLog(t.Context(), l, key, func(w io.Writer) error { _, err := io.WriteString(w, l.File); return err }); err != nil {
			t.Fatal(err)
		}
	}
	logs, err := c.Logs(t.Context(), began.Add(2*time.Minute))
	if err != nil || len(logs) != 2 || logs[0].File != "bin.000003" || logs[0].Server != "mysql-1" || logs[0].Size == 0 {
		t.Fatalf("%v, %v", logs, err)
	}
	r, err := c.OpenLog(t.Context(), logs[0], key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if b, err := io.ReadAll(r); err != nil || string(b) != "bin.000003" {
		t.Errorf("%s, %v", b, err)
	}
}

func TestRetention(t *testing.T) {
	var all []backup.Manifest
	for day := range 100 {
		m := backup.Manifest{ID: fmt.Sprintf("d%03d", day), Ended: began.AddDate(0, 0, day)}
		all = append(all, m)
	}
	now := began.AddDate(0, 0, 99).Add(time.Hour)
	for _, c := range []struct {
		r    backup.Retention
		want string
	}{
		{backup.Retention{}, "d099"},
		{backup.Retention{Daily: 3}, "d097 d098 d099"},
		// Day 0 is a Monday: weeks end on days 6, 13, ... 97; 2 March + 99 days is 9 June.
		{backup.Retention{Weekly: 3}, "d090 d097 d099"},
		{backup.Retention{Monthly: 3}, "d059 d090 d099"},
		{backup.Retention{Daily: 2, Weekly: 2, Monthly: 2}, "d090 d097 d098 d099"},
	} {
		if got := strings.Join(slices.Sorted(maps.Keys(c.r.Keep(all, now))), " "); got != c.want {
			t.Errorf("%+v keeps %s, want %s", c.r, got, c.want)
		}
	}
	// A person's own, and the newest that was restored once.
	all[80].Manual = true
	all[40].Manual = true
	all[20].Drill, all[10].Drill, all[50].Drill = &backup.Drill{OK: true}, &backup.Drill{OK: true}, &backup.Drill{OK: false}
	if got := strings.Join(slices.Sorted(maps.Keys(backup.Retention{}.Keep(all, now))), " "); got != "d020 d080 d099" {
		t.Errorf("keeps %s", got)
	}
	// In a zone of its own: 03:00 UTC is 22:00 of the day before in New York, in winter.
	newYork := time.FixedZone("EST", -5*3600)
	two := []backup.Manifest{{ID: "a", Ended: began}, {ID: "b", Ended: began.Add(3 * time.Hour)}}
	if got := (backup.Retention{Daily: 2, Zone: newYork}).Keep(two, now); len(got) != 2 {
		t.Errorf("in New York: %v", got)
	}
	if got := (backup.Retention{Daily: 2}).Keep(two, now); len(got) != 1 {
		t.Errorf("in UTC: %v", got)
	}
}

func TestPrune(t *testing.T) {
	c := catalog(t)
	for day := range 3 {
		at := began.AddDate(0, 0, day)
		take(t, c, at, backup.Key{}, "x")
		l := backup.Log{First: at, Last: at.Add(23 * time.Hour), Server: "mysql-1", File: "bin.1"}
		if err := c.StoreLog(t.Context(), l, backup.Key{}, func(w io.Writer) error { _, err := io.WriteString(w, "x"); return err }); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.StoreDrill(t.Context(), backup.Drill{Backup: "20260302T030000Z"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Target.Put(t.Context(), "shop/mysql/full/20260301T000000Z/data", strings.NewReader("what a crash left")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Target.Put(t.Context(), "shop/mysql2/full/x/data", strings.NewReader("another role's")); err != nil {
		t.Fatal(err)
	}
	now := time.Now().Add(48 * time.Hour) // the folder's clock is this machine's
	gone, err := c.Prune(t.Context(), backup.Retention{Daily: 2}, now)
	if err != nil || !slices.Equal(gone, []string{"20260302T030000Z"}) {
		t.Errorf("%v, %v", gone, err)
	}
	objects, err := c.Target.List(t.Context(), "shop/")
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, o := range objects {
		left = append(left, strings.TrimPrefix(o.Name, "shop/"))
	}
	want := []string{"mysql/full/20260303T030000Z/data", "mysql/full/20260303T030000Z/manifest.json", "mysql/full/20260304T030000Z/data", "mysql/full/20260304T030000Z/manifest.json",
		"mysql/log/20260303T030000.000Z_20260304T020000.000Z_mysql-1_bin.1", "mysql/log/20260304T030000.000Z_20260305T020000.000Z_mysql-1_bin.1", "mysql2/full/x/data"}
	if !slices.Equal(left, want) {
		t.Errorf("left:\n%s", strings.Join(left, "\n"))
	}
}
