package gateway

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// newLamp is a served farm whose web-1 uses mysql and runs a release; it returns the release's name.
func newLamp(t *testing.T, opts Options) (*farm, string) {
	t.Helper()
	f := newFarm(t, opts)
	release, _, err := f.blobs.PutBlob(t.Context(), strings.NewReader("release"))
	if err != nil {
		t.Fatal(err)
	}
	f.putJSON(t, state.AssignmentKey("lamp", "web-1"), state.Assignment{
		Farm:        "lamp",
		Role:        spec.Role{Farm: "lamp", Name: "web", Uses: []string{"lamp/mysql", "other/mysql", "lamp/"}},
		Application: &spec.Application{Name: "site", Release: release},
	})
	for _, key := range []string{
		state.TopologyKey("lamp"), state.RuntimeKey("lamp"), state.AssignmentKey("lamp", "web-10"), state.AssignmentKey("lamp", "db-2"),
		state.SecretKey("lamp", "web"), state.SecretKey("lamp", "web2"), state.SecretKey("lamp", "mysql"), state.SecretKey("lamp", "memcached"),
		state.SecretKey("other", "mysql"), state.ReportKey("lamp", "web-1"), state.ReportKey("lamp", "web-10"), state.ReportKey("lamp", "db-1"),
		state.TokenKey("lamp", "web-10"), state.LeaseKey("lamp"), state.FenceKey("lamp"), state.FarmKey("lamp"), state.RoleKey("lamp", "web"),
		state.InstanceKey("lamp", "web-1"), state.EventKey("lamp", "1"), state.DatabaseKey("lamp", "web"), state.DatabaseKey("lamp", "mysql"), state.FarmIndexKey("lamp"), state.TopologyKey("other"),
	} {
		f.put(t, key, `{"content":"of `+key+`"}`)
	}
	f.start(t)
	return f, release
}

// Every key of the store is tried, so that what is forgotten here is denied there.
func TestAgentReadsWhatItNeedsAndNothingElse(t *testing.T) {
	f, _ := newLamp(t, Options{})
	may := []string{
		"lamp/assignment/web-1", "lamp/database/web", "lamp/runtime", "lamp/secret/mysql", "lamp/secret/web", "lamp/topology",
	}
	c, ctx := f.client(t, "web-1"), t.Context()
	var got []string
	for _, partition := range []string{"lamp/", "other/", "_/"} {
		entries, err := f.store.List(ctx, partition)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			_, getErr := c.Get(ctx, e.Key)
			listed, listErr := c.List(ctx, e.Key)
			_, watchErr := c.Watch(ctx, e.Key)
			if getErr == nil && listErr == nil && watchErr == nil {
				got = append(got, e.Key)
				if len(listed) != 1 || listed[0].Key != e.Key {
					t.Errorf("list of %s: got %v, want that key alone", e.Key, listed)
				}
				continue
			}
			for _, err := range []error{getErr, listErr, watchErr} {
				if !errors.Is(err, store.ErrDenied) || !strings.Contains(err.Error(), e.Key) {
					t.Errorf("%s: got error %v, want ErrDenied with the key", e.Key, err)
				}
			}
		}
	}
	if !slices.Equal(got, may) {
		t.Errorf("web-1 reads\n     %q\nwant %q", got, may)
	}
	for _, prefix := range []string{"lamp/", "lamp/secret/", "lamp/assignment/", "lamp/t", "lamp/assignment/web-"} {
		if _, err := c.List(ctx, prefix); !errors.Is(err, store.ErrDenied) {
			t.Errorf("list of %s: got error %v, want ErrDenied", prefix, err)
		}
		if _, err := c.Watch(ctx, prefix); !errors.Is(err, store.ErrDenied) {
			t.Errorf("watch of %s: got error %v, want ErrDenied", prefix, err)
		}
	}
}

func TestAgentWritesItsReportAndNothingElse(t *testing.T) {
	f, _ := newLamp(t, Options{})
	c, ctx := f.client(t, "web-1"), t.Context()
	entries, err := f.store.List(ctx, "lamp/")
	if err != nil {
		t.Fatal(err)
	}
	report := []byte(`{"instance":"web-1"}`)
	for _, key := range append([]string{"lamp/new", "other/new", "_/new"}, keysOf(entries)...) {
		_, err := c.Put(ctx, key, report)
		if own := key == "lamp/report/web-1"; own && err != nil || !own && !errors.Is(err, store.ErrDenied) {
			t.Errorf("put of %s: got error %v", key, err)
		}
		if err := c.Delete(ctx, key); !errors.Is(err, store.ErrDenied) {
			t.Errorf("delete of %s: got error %v, want ErrDenied", key, err)
		}
	}
	// A guard that is tried with one revision after the other would tell that of any key.
	_, err = c.Put(ctx, "lamp/report/web-1", report, store.Guarded(&store.Guard{Key: "lamp/fence", Revision: 1}))
	if !errors.Is(err, store.ErrDenied) {
		t.Errorf("put guarded by a key that is not web-1's to read: got error %v, want ErrDenied", err)
	}
}

func keysOf(entries []store.Entry) (keys []string) {
	for _, e := range entries {
		keys = append(keys, e.Key)
	}
	return keys
}

func TestAgentReadsItsReleaseAndNothingElse(t *testing.T) {
	f, release := newLamp(t, Options{})
	other, _, err := f.blobs.PutBlob(t.Context(), strings.NewReader("another release"))
	if err != nil {
		t.Fatal(err)
	}
	c := f.client(t, "web-1")
	r, err := c.OpenBlob(t.Context(), release)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "release" {
		t.Errorf("got %q and error %v", got, err)
	}
	_, err = c.OpenBlob(t.Context(), other)
	if !errors.Is(err, store.ErrDenied) {
		t.Errorf("another's release: got error %v, want ErrDenied", err)
	}
	_, _, err = c.PutBlob(t.Context(), strings.NewReader("x"))
	if !errors.Is(err, store.ErrDenied) {
		t.Errorf("put: got error %v, want ErrDenied", err)
	}
	if err := c.DeleteBlob(t.Context(), release); !errors.Is(err, store.ErrDenied) {
		t.Errorf("delete: got error %v, want ErrDenied", err)
	}
}

// Before the sidecar has written its assignment an instance has no role, and no secrets.
func TestAgentWithoutAssignment(t *testing.T) {
	f, release := newLamp(t, Options{})
	c := f.client(t, "db-1")
	if _, err := c.Get(t.Context(), "lamp/assignment/db-1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("its assignment: got error %v, want ErrNotFound", err)
	}
	if _, err := c.Get(t.Context(), "lamp/topology"); err != nil {
		t.Errorf("the topology: %v", err)
	}
	if _, err := c.Get(t.Context(), "lamp/secret/mysql"); !errors.Is(err, store.ErrDenied) {
		t.Errorf("a secret: got error %v, want ErrDenied", err)
	}
	if _, err := c.OpenBlob(t.Context(), release); !errors.Is(err, store.ErrDenied) {
		t.Errorf("a release: got error %v, want ErrDenied", err)
	}
}

func TestTokens(t *testing.T) {
	var log bytes.Buffer
	f, _ := newLamp(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	for name, c := range map[string]*Client{
		"a wrong token":           NewClient(f.addr, "lamp", "web-1", "secret of nobody"),
		"no token":                NewClient(f.addr, "lamp", "web-1", ""),
		"another's token":         NewClient(f.addr, "lamp", "web-1", token("db-1")),
		"the hash for a token":    NewClient(f.addr, "lamp", "web-1", HashToken(token("web-1"))),
		"an unknown instance":     NewClient(f.addr, "lamp", "web-3", token("web-3")),
		"no instance":             NewClient(f.addr, "lamp", "", token("web-1")),
		"a path for an instance":  NewClient(f.addr, "lamp", "x/../web-1", token("web-1")),
		"another farm's instance": NewClient(f.addr, "shop", "web-1", token("web-1")),
	} {
		t.Run(name, func(t *testing.T) {
			defer c.Close()
			if _, err := c.Get(t.Context(), "lamp/topology"); !errors.Is(err, store.ErrDenied) {
				t.Errorf("get: got error %v, want ErrDenied", err)
			}
			if _, err := c.Watch(t.Context(), "lamp/topology"); !errors.Is(err, store.ErrDenied) {
				t.Errorf("watch: got error %v, want ErrDenied", err)
			}
			if _, err := c.OpenBlob(t.Context(), strings.Repeat("0", 64)); !errors.Is(err, store.ErrDenied) {
				t.Errorf("blob: got error %v, want ErrDenied", err)
			}
		})
	}
	f.stop() // nobody writes to the log any more
	if !strings.Contains(log.String(), "refused") {
		t.Errorf("the log says nothing of it:\n%s", &log)
	}
	for _, secret := range []string{"secret of", HashToken(token("web-1"))} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log tells a token:\n%s", &log)
		}
	}
}

// The machine that follows in an instance's place has another token, and the former one is shut out.
func TestTokenReplaced(t *testing.T) {
	f, _ := newLamp(t, Options{})
	c := f.client(t, "web-1")
	if _, err := c.Get(t.Context(), "lamp/topology"); err != nil {
		t.Fatal(err)
	}
	f.putJSON(t, state.TokenKey("lamp", "web-1"), HashToken("new")) // as JSON is as good
	if _, err := c.Get(t.Context(), "lamp/topology"); !errors.Is(err, store.ErrDenied) {
		t.Errorf("the former token: got error %v, want ErrDenied", err)
	}
	young := NewClient(f.addr, "lamp", "web-1", "new")
	defer young.Close()
	if _, err := young.Get(t.Context(), "lamp/topology"); err != nil {
		t.Errorf("the new token: %v", err)
	}
}

func TestReports(t *testing.T) {
	type seen struct {
		step    string
		changed bool
	}
	var got []seen
	f, _ := newLamp(t, Options{OnReport: func(r state.Report, changed bool) { got = append(got, seen{r.Boot.Step, changed}) }})
	c := f.client(t, "web-1")
	put := func(r state.Report) error {
		_, err := store.PutJSON(t.Context(), c, "lamp/report/web-1", r)
		return err
	}
	boot := func(step string, done bool, failed string) state.Boot {
		return state.Boot{Step: step, Done: done, Failed: failed}
	}
	for _, r := range []state.Report{
		{Token: "1", Boot: boot("first", false, "")},
		{Token: "1", Boot: boot("boots on", false, "")},
		{Token: "1", Boot: boot("serves", true, "")},
		{Token: "1", Boot: boot("serves on", true, ""), Checks: []state.Check{{OK: true}}},
		{Token: "1", Boot: boot("is ill", true, ""), Checks: []state.Check{{OK: false}}},
		{Token: "2", Boot: boot("another holder", false, "")},
		{Token: "2", Boot: boot("failed", false, "exit status 3")},
		{Token: "2", Boot: boot("still failed", false, "exit status 3")},
	} {
		r.Instance = "web-1"
		if err := put(r); err != nil {
			t.Fatal(err)
		}
	}
	want := []seen{{"first", true}, {"boots on", false}, {"serves", true}, {"serves on", false}, {"is ill", true},
		{"another holder", true}, {"failed", true}, {"still failed", false}}
	if !slices.Equal(got, want) {
		t.Errorf("the controller was told\n     %v\nwant %v", got, want)
	}

	if err := put(state.Report{Instance: "db-1"}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a report about another: got error %v, want ErrInvalid", err)
	}
	if _, err := c.Put(t.Context(), "lamp/report/web-1", []byte("{")); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("half a report: got error %v, want ErrInvalid", err)
	}
	if len(got) != len(want) {
		t.Errorf("the controller was told of a report that was refused: %v", got[len(want):])
	}
}

// What does not come from our client is answered, not obeyed.
func TestOddRequests(t *testing.T) {
	f, _ := newLamp(t, Options{})
	for _, test := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"no JSON", "POST", "/v1/get", "key", http.StatusBadRequest},
		{"nothing", "POST", "/v1/get", "", http.StatusBadRequest},
		{"no key", "POST", "/v1/get", "{}", http.StatusForbidden},
		{"too much", "POST", "/v1/put", `{"key":"` + strings.Repeat("a", maxBody) + `"}`, http.StatusBadRequest},
		{"too large a value", "POST", "/v1/put", `{"key":"lamp/report/web-1","value":"` + strings.Repeat("AAAA", store.MaxValue/3+1) + `"}`, http.StatusBadRequest},
		{"a wrong method", "GET", "/v1/get", "", http.StatusMethodNotAllowed},
		{"an unknown call", "POST", "/v1/drop", "{}", http.StatusNotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), test.method, "http://"+f.addr+test.path, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+token("web-1"))
			r.Header.Set(farmHeader, "lamp")
			r.Header.Set(instanceHeader, "web-1")
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != test.status {
				t.Errorf("got %s, want %d", response.Status, test.status)
			}
		})
	}
}
