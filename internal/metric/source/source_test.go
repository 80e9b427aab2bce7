package source

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// check asks, and holds the answer against a number or a part of the error.
func check(t *testing.T, name string, q Question, want any) {
	t.Helper()
	v, err := ask(t.Context(), nil, q, now)
	switch want := want.(type) {
	case float64:
		if err != nil || v != want {
			t.Errorf("%s: %v, %v; want %v", name, v, err, want)
		}
	case string:
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v; want an error that says %q", name, v, err, want)
		}
	}
	if err != nil && q.Secret != "" && strings.Contains(err.Error(), q.Secret) {
		t.Errorf("%s: the secret is in the error: %v", name, err)
	}
}

func TestHTTP(t *testing.T) {
	body, status, token := "", 200, ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token = r.Header.Get("Authorization")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	defer server.Close()
	const queues = `{"queues":[{"name":"mail","waiting":12},{"name":"pdf","waiting":"3.5"}],"total":15.5,"ok":true,"none":null}`
	for name, c := range map[string]struct {
		body, path string
		want       any
	}{
		"a number":            {"42\n", "", 42.0},
		"text":                {"many", "", `"many" is no number`},
		"nothing":             {"", "", "no number"},
		"negative":            {"-1", "", "negative"},
		"not a number":        {"NaN", "", "no number to go by"},
		"infinite":            {"1e999", "", "no number"},
		"JSON without a path": {queues, "", "no number"},
		"a path":              {queues, "total", 15.5},
		"a number as text":    {queues, `queues.#(name=="pdf").waiting`, 3.5},
		"two values":          {queues, "queues.#.waiting", "2 values"},
		"one value of a list": {queues, `queues.#(name=="mail")#.waiting`, 12.0},
		"a path to nowhere":   {queues, "sum", "leads to nothing"},
		"a path to an object": {queues, "queues.0", "no number"},
		"a truth":             {queues, "ok", "no number"},
		"null":                {queues, "none", "no number"},
		"no JSON":             {"<html>", "total", "is not JSON"},
	} {
		body = c.body
		check(t, name, Question{Metric: spec.Metric{Kind: spec.HTTPValue, HTTP: &spec.HTTPMetric{URL: server.URL, Select: c.path}}, Secret: "s3cret"}, c.want)
		if token != "Bearer s3cret" {
			t.Errorf("%s: it proved itself with %q", name, token)
		}
	}
	body, status = "42", 503
	q := Question{Metric: spec.Metric{Kind: spec.HTTPValue, HTTP: &spec.HTTPMetric{URL: server.URL + "/?key=hidden"}}, Secret: "hidden"}
	check(t, "an error's answer", q, "status 503")
	server.Close()
	check(t, "nobody there", q, "refused")
	check(t, "a kind of a later version", Question{Metric: spec.Metric{Kind: "moon"}}, "older than the declaration")
	check(t, "not to be asked", Question{Metric: q.Metric, Problem: "role shop/mysql has no server"}, "has no server")
}

func TestPrometheus(t *testing.T) {
	body, status := "", 200
	var asked *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	defer server.Close()
	result := func(kind, value string) string {
		return `{"status":"success","data":{"resultType":"` + kind + `","result":` + value + `}}`
	}
	for name, c := range map[string]struct {
		status int
		body   string
		want   any
	}{
		"a scalar":   {200, result("scalar", `[1,"2.5"]`), 2.5},
		"one series": {200, result("vector", `[{"metric":{},"value":[1,"7"]}]`), 7.0},
		"two series": {200, result("vector", `[{"metric":{},"value":[1,"7"]},{"metric":{},"value":[1,"8"]}]`), "2 values"},
		"none":       {200, result("vector", `[]`), "no value"},
		"NaN":        {200, result("scalar", `[1,"NaN"]`), "no number to go by"},
		"a range":    {200, result("matrix", `[]`), "gives a matrix"},
		"no query":   {400, `{"status":"error","errorType":"bad_data","error":"parse error: unexpected end"}`, "parse error"},
		"not ready":  {503, `Service Unavailable`, "status 503"},
		"another":    {200, `{"hello":1}`, "is not Prometheus'"},
	} {
		body, status = c.body, c.status
		check(t, name, Question{Metric: spec.Metric{Kind: spec.PrometheusValue, Prometheus: &spec.PrometheusMetric{URL: server.URL + "/prom/", Query: `sum(rate(x{a="b"}[1m]))`}}}, c.want)
		if asked.URL.Path != "/prom/api/v1/query" || asked.URL.Query().Get("query") != `sum(rate(x{a="b"}[1m]))` || asked.URL.Query().Get("time") != "2026-03-02T09:00:00Z" {
			t.Errorf("%s: asked %s", name, asked.URL)
		}
	}
}

// TestSlow: who answers late is told so, in the words of the limit.
func TestSlow(t *testing.T) {
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(hang)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, fmt.Errorf("no answer within a moment"))
	defer cancel()
	_, err := ask(ctx, nil, Question{Metric: spec.Metric{Kind: spec.HTTPValue, HTTP: &spec.HTTPMetric{URL: server.URL}}}, now)
	if err == nil || !strings.Contains(err.Error(), "no answer within a moment") {
		t.Errorf("got %v", err)
	}
}
