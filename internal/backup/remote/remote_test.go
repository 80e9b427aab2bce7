package remote_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/backup/backuptest"
	"github.com/farmhand/terraform-provider-farmhand/internal/backup/remote"
)

func over(t *testing.T, target backup.Target) *remote.Client {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { remote.Serve(w, r, target) }))
	t.Cleanup(s.Close)
	return &remote.Client{HTTP: s.Client(), Request: func(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
		return http.NewRequestWithContext(ctx, method, s.URL+path, body)
	}}
}

func dir(t *testing.T) backup.Target {
	d, err := backup.OpenDir(filepath.Join(t.TempDir(), "backups"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestRemote(t *testing.T) {
	backuptest.Run(t, func(t *testing.T) backup.Target { return over(t, dir(t)) })
}

// TestResumed: the gateway is restarted, or what lies behind it breaks off, in the middle of an object.
func TestResumed(t *testing.T) {
	faulty := &backuptest.Faulty{Target: dir(t), Fails: backuptest.Every(4)}
	text := strings.Repeat("0123456789", 400)
	if _, err := faulty.Target.Put(t.Context(), "x", strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	asked := 0
	c := over(t, faulty)
	request := c.Request
	c.Request = func(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
		if asked++; asked%2 == 0 {
			path = "/nothing-is-there" // as another process that has taken the port for a moment
			method = http.MethodPost
		}
		return request(ctx, method, path, body)
	}
	r, err := backup.Patient{Target: c}.Get(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != text {
		t.Errorf("%d bytes of %d came, %v", len(got), len(text), err)
	}
	if asked < 6 {
		t.Errorf("it was asked %d times", asked)
	}
}

// TestScoped: an instance reaches its own role's place, and reads another's only if it was told to.
func TestScoped(t *testing.T) {
	all := dir(t)
	for _, name := range []string{"shop/mysql/a", "shop/other/a", "shop/third/a"} {
		if _, err := all.Put(t.Context(), name, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
	}
	c := over(t, backup.Scoped(all, "shop/mysql/", "shop/other/"))
	for name, want := range map[string][2]error{
		"shop/mysql/a":          {nil, nil},
		"shop/other/a":          {nil, backup.ErrDenied},
		"shop/third/a":          {backup.ErrDenied, backup.ErrDenied},
		"shop/mysql2/a":         {backup.ErrDenied, backup.ErrDenied},
		"shop/mysql/../third/a": {errors.New("any"), errors.New("any")},
	} {
		r, err := c.Get(t.Context(), name)
		if err == nil {
			r.Close()
		}
		_, put := c.Put(t.Context(), name, strings.NewReader("y"))
		for i, got := range []error{err, put} {
			if (got == nil) != (want[i] == nil) || errors.Is(want[i], backup.ErrDenied) && !errors.Is(got, backup.ErrDenied) {
				t.Errorf("%s: %v, want %v", name, got, want[i])
			}
		}
	}
	if _, err := c.List(t.Context(), "shop/"); !errors.Is(err, backup.ErrDenied) {
		t.Errorf("List: %v", err)
	}
}
