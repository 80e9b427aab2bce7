package backup_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/backup/backuptest"
)

// noise is text that does not shrink much, always the same.
func noise(n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + r.IntN(26))
	}
	return string(b)
}

// TestPatient: a place of which every third call and every third read fails is as good as any, but for streams into it.
func TestPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, key := catalog(t), newKey(t)
		faulty := &backuptest.Faulty{Target: c.Target, Fails: func(what string, n int) bool { return what != "Put" && n%3 == 2 }}
		trouble, over := 0, 0
		c.Target = backup.Patient{Target: faulty, Tell: func(text string) {
			switch {
			case text == "":
				over++
			case strings.Contains(text, "does not answer, trying again for"):
				trouble++
			default:
				t.Errorf("told %q", text)
			}
		}}
		for range 3 {
			if err := c.Claim(t.Context(), began); err != nil {
				t.Fatal(err)
			}
		}
		text := noise(100_000)
		m := take(t, c, began, key, text)
		if err := c.StoreDrill(t.Context(), backup.Drill{Backup: m.ID, OK: true}); err != nil {
			t.Fatal(err)
		}
		found, err := c.Find(t.Context(), "", time.Time{})
		if err != nil || found.Drill == nil {
			t.Fatalf("%+v, %v", found, err)
		}
		if got, err := restore(t, c, found, key); err != nil || got != text {
			t.Errorf("%d bytes came back, %v", len(got), err)
		}
		if n := faulty.Asked(); n < 60 || trouble < n/4 || over == 0 {
			t.Errorf("of %d calls and reads %d failed, and %d times that was over", n, trouble, over)
		}
		if _, err := c.Prune(t.Context(), backup.Retention{}, began.Add(time.Hour)); err != nil {
			t.Error(err)
		}
		if _, err := c.Target.Get(t.Context(), "no/such"); !errors.Is(err, backup.ErrNotFound) {
			t.Errorf("what is not there is waited for: %v", err)
		}
	})
}

// TestPatienceEnds: a place that is away for good is given up after a while, and for what reason is known.
func TestPatienceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, key := catalog(t), newKey(t)
		m := take(t, c, began, key, noise(100_000))
		var away atomic.Bool
		faulty := &backuptest.Faulty{Target: c.Target, Fails: func(string, int) bool { return away.Load() }}
		var last atomic.Value
		c.Target = backup.Patient{Target: faulty, Tell: func(text string) { last.Store(text) }}
		r, err := c.OpenFull(t.Context(), m, key)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := io.ReadFull(r, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		away.Store(true)
		start := time.Now()
		go func() {
			time.Sleep(42 * time.Second)
			if text, _ := last.Load().(string); !strings.Contains(text, "trying again for 3") && !strings.Contains(text, "trying again for 4") {
				t.Errorf("after 42s: told %q", text)
			}
		}()
		_, err = io.Copy(io.Discard, r)
		if took := time.Since(start); !errors.Is(err, backup.ErrUnavailable) || errors.Is(err, backup.ErrDamaged) || took < 4*time.Minute || took > 5*time.Minute {
			t.Errorf("after %s: %v", took, err)
		}
		if last.Load() != "" {
			t.Errorf("trouble that is over is told still: %q", last.Load())
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := c.Fulls(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("whoever has no time: %v", err)
		}

		// It comes back in time.
		start = time.Now()
		go func() { time.Sleep(3 * time.Minute); away.Store(false) }()
		if all, err := c.Fulls(t.Context()); err != nil || len(all) != 1 || time.Since(start) < 3*time.Minute {
			t.Errorf("%v, %v after %s", all, err, time.Since(start))
		}
	})
}

// TestStreamsBeginAnew: what was read of a stream is gone; a manifest is sent again.
func TestStreamsBeginAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, key := catalog(t), newKey(t)
		puts := 0
		faulty := &backuptest.Faulty{Target: c.Target, Fails: func(what string, _ int) bool {
			if what == "Put" {
				puts++
			}
			return what == "Put" && puts == 1
		}}
		c.Target = backup.Patient{Target: faulty}
		m := backup.Manifest{ID: backup.NewID(began)}
		write := func(w io.Writer) error { _, err := io.WriteString(w, noise(10_000)); return err }
		err := c.StoreFull(t.Context(), &m, key, write)
		if !errors.Is(err, backup.ErrUnavailable) || !strings.Contains(err.Error(), "it has to begin anew") {
			t.Errorf("%v", err)
		}
		puts = -1 // the data goes through, and the manifest at its second try
		if err := c.StoreFull(t.Context(), &m, key, write); err != nil || puts < 2 {
			t.Errorf("%v after %d puts", err, puts+1)
		}
		if got, err := restore(t, c, m, key); err != nil || got != noise(10_000) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
}

// silent is a transfer that brings nothing more, without breaking off.
type silent struct {
	backup.Target
	opened int
}

func (s *silent) GetFrom(ctx context.Context, name string, from int64) (io.ReadCloser, error) {
	r, err := s.Target.GetFrom(ctx, name, from)
	if s.opened++; err != nil || s.opened > 1 {
		return r, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(r, 500), until{ctx}), r}, nil
}

type until struct{ ctx context.Context }

func (u until) Read([]byte) (int, error) { <-u.ctx.Done(); return 0, context.Cause(u.ctx) }

// TestStalled: a transfer that stands still is broken off, and resumed where it was.
func TestStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, key := catalog(t), newKey(t)
		text := noise(100_000)
		m := take(t, c, began, key, text)
		s := &silent{Target: c.Target}
		c.Target = backup.Patient{Target: s}
		if got, err := restore(t, c, m, key); err != nil || got != text || s.opened != 2 {
			t.Errorf("%d bytes of %d by %d transfers, %v", len(got), len(text), s.opened, err)
		}
	})
}
