package webhook

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/dns"
)

// provider is a provider of dynamic DNS: it notes what it is asked and answers what the test says.
type provider struct {
	asked []string
	says  func(http.ResponseWriter)
}

func start(t *testing.T) (*provider, string) {
	p := &provider{says: func(w http.ResponseWriter) { fmt.Fprintln(w, "success") }}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		p.asked = append(p.asked, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", r.Method, r.URL, r.Header.Get("Authorization"), body)))
		p.says(w)
	}))
	t.Cleanup(s.Close)
	return p, s.URL
}

func web(addresses ...string) []dns.Record {
	r := dns.Record{Name: "www.example.com", TTL: 5 * time.Second}
	for _, a := range addresses {
		r.Addresses = append(r.Addresses, netip.MustParseAddr(a))
	}
	return []dns.Record{r}
}

func TestChangesAreTold(t *testing.T) {
	p, url := start(t)
	w := New(Options{URL: url + "/update?id=12&password={secret}&ip={address}", Secret: "p&ss word", Expect: "success"})
	for _, step := range []struct {
		former, want []dns.Record
		changed      string
		asked        string
	}{
		{nil, web("10.0.0.1"), "[www.example.com → 10.0.0.1]", "GET /update?id=12&password=p%26ss+word&ip=10.0.0.1"},
		{web("10.0.0.1"), web("10.0.0.1"), "[]", ""},
		{web("10.0.0.1"), web("10.0.0.2"), "[www.example.com → 10.0.0.2]", "GET /update?id=12&password=p%26ss+word&ip=10.0.0.2"},
		{web("10.0.0.2"), web(), "[]", ""},
		{web("10.0.0.2"), nil, "[]", ""},
	} {
		p.asked = nil
		changed, err := w.Publish(t.Context(), step.former, step.want)
		if err != nil || fmt.Sprint(changed) != step.changed || strings.Join(p.asked, "\n") != step.asked {
			t.Errorf("from %v to %v: changes %v, error %v, asked %q; want %s and %q", step.former, step.want, changed, err, p.asked, step.changed, step.asked)
		}
	}
}

func TestEveryPlaceholder(t *testing.T) {
	p, url := start(t)
	w := New(Options{URL: url + "/{name}/{type}", Method: http.MethodPut, Secret: "token",
		Header: map[string]string{"Authorization": "Bearer {secret}"}, Body: `{"new":"{addresses}","old":"{old}","ttl":{ttl}}`})
	if _, err := w.Publish(t.Context(), web("10.0.0.1"), web("10.0.0.3", "10.0.0.2", "2001:db8::1")); err != nil {
		t.Fatal(err)
	}
	want := `PUT /www.example.com/A Bearer token {"new":"10.0.0.2,10.0.0.3","old":"10.0.0.1","ttl":5}
PUT /www.example.com/AAAA Bearer token {"new":"2001:db8::1","old":"","ttl":5}`
	if got := strings.Join(p.asked, "\n"); got != want {
		t.Errorf("asked:\n%s\nwant:\n%s", got, want)
	}
}

func TestWhatAProviderMaySay(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		tries  int
		says   string
	}{
		"an error in a success": {200, "error-auth-suspend\nmore", 1, `does not hold "success": error-auth-suspend`},
		"nothing":               {200, "", 1, "(an empty answer)"},
		"refused":               {403, "\n  no such password: hush-hush \n<html>", 1, "403 Forbidden: no such password: (secret)"},
		"trouble of its own":    {503, "later", tries, "503 Service Unavailable: later"},
		"too often":             {429, "slow down", tries, "429 Too Many Requests: slow down"},
		"a way elsewhere":       {302, "moved", tries, "302 Found: moved"},
		"a long line":           {500, strings.Repeat("x", 5000), tries, "xxx..."},
	} {
		t.Run(name, func(t *testing.T) {
			p, url := start(t)
			p.says = func(w http.ResponseWriter) { w.WriteHeader(c.status); fmt.Fprint(w, c.body) }
			w := New(Options{URL: url + "?password={secret}", Secret: "hush-hush", Expect: "success", Pause: time.Microsecond})
			_, err := w.Publish(t.Context(), nil, web("10.0.0.1"))
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "www.example.com") {
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
			if err != nil && strings.Contains(err.Error(), "hush") {
				t.Errorf("the secret is in %v", err)
			}
			if len(p.asked) != c.tries {
				t.Errorf("asked %d times, want %d", len(p.asked), c.tries)
			}
		})
	}
}

func TestNobodyAnswers(t *testing.T) {
	w := New(Options{URL: "http://127.0.0.1:1/?password={secret}", Secret: "hush-hush", Pause: time.Microsecond})
	_, err := w.Publish(t.Context(), nil, web("10.0.0.1"))
	if err == nil || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "password") {
		t.Errorf("error %v, want one without the address", err)
	}
}
