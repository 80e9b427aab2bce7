package sidecar

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// backgroundServing is background with metrics at an address that it returns.
func backgroundServing(t *testing.T, dir string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	l.Close()
	background(t, dir, "--metrics-listen", address)
	return address
}

func get(address, path string) (status int, body string, err error) {
	resp, err := (&http.Client{Timeout: 10 * time.Second}).Get("http://" + address + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func TestMetricsServedAndPrinted(t *testing.T) {
	dir, s := declare(t, 2, 4)
	code, out, stderr := farmhand(t, "metrics", "--state-dir", dir)
	if code != 0 || !strings.Contains(out, `farmhand_farm_kept{farm="shop"} 0`) {
		t.Errorf("without a sidecar: %d, %s%s", code, out, stderr)
	}
	address := backgroundServing(t, dir)
	seen(t, dir, "a farm of two", serving(2))
	wanted := []string{`farmhand_farm_kept{farm="shop"} 1`, `farmhand_role_instances{farm="shop",phase="running",role="web"} 2`, `farmhand_instance_serving{farm="shop",role="web",server="web-2"} 1`, `farmhand_build_info{version="1.2.3"} 1`}
	deadline := time.Now().Add(20 * time.Second)
	for {
		status, body, err := get(address, "/metrics")
		missing := ""
		for _, want := range wanted {
			if !strings.Contains(body, want+"\n") {
				missing = want
			}
		}
		if err == nil && status == http.StatusOK && missing == "" {
			break
		}
		if time.Now().After(deadline) { // an answer is given again for some seconds
			t.Fatalf("%d %v: no %s in\n%s", status, err, missing, body)
		}
		time.Sleep(50 * time.Millisecond)
	}
	_, out, _ = farmhand(t, "metrics", "shop", "--state-dir", dir)
	for _, want := range wanted {
		if !strings.Contains(out, want+"\n") {
			t.Errorf("farmhand metrics has no %s:\n%s", want, out)
		}
	}
	if status, body, err := get(address, "/healthz"); status != http.StatusOK || body != "ok\n" {
		t.Errorf("healthz: %d %q %v", status, body, err)
	}
	if status, _, _ := get(address, "/"); status != http.StatusNotFound {
		t.Errorf("/: %d", status)
	}
	if resp, err := http.Post("http://"+address+"/metrics", "text/plain", strings.NewReader("x")); err != nil || resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %v, %v", resp, err)
	}

	// A second one is told what stands in its way, and how out of it.
	other, _ := declare(t, 1, 1)
	if code, _, stderr := farmhand(t, "run", "--state-dir", other, "--metrics-listen", address); code != ExitFailure ||
		!strings.Contains(stderr, "--metrics-listen: metrics cannot be served at "+address+": another process listens there") || !strings.Contains(stderr, "choose another port") {
		t.Errorf("a taken port: %d, %s", code, stderr)
	}

	// The store cannot be read as a whole any more: what can be goes on being said.
	if _, err := s.Put(t.Context(), state.MemoryKey("shop", "nonsense"), []byte("!")); err != nil {
		t.Fatal(err)
	}
	if code, out, stderr := farmhand(t, "metrics", "--state-dir", dir); code != 0 || !strings.Contains(out, `farmhand_farm_unreadable_records{farm="shop"} 1`) || !strings.Contains(stderr, "shop/memory/nonsense") {
		t.Errorf("%d, %s%s", code, out, stderr)
	}
}

// TestPrometheusScrapes: a real Prometheus reads a real sidecar, knows each metric's kind, and finds the rules well.
func TestPrometheusScrapes(t *testing.T) {
	prometheus, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not installed: apt-get install prometheus")
	}
	dir, _ := declare(t, 2, 4)
	target := backgroundServing(t, dir)
	seen(t, dir, "a farm of two", serving(2))
	rules, err := filepath.Abs("../examples/prometheus/farmhand.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	address := startPrometheus(t, prometheus, fmt.Sprintf(`
global: {scrape_interval: 250ms, evaluation_interval: 250ms}
rule_files: [%q]
scrape_configs:
  - job_name: farmhand
    static_configs: [{targets: [%q]}]
`, rules, target))

	var last string
	deadline := time.Now().Add(60 * time.Second)
	for {
		var value string
		value, last = query(address, `sum by (farm, role) (farmhand_role_instances{job="farmhand",instance="`+target+`",phase="running"})`)
		if value == "2" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("Prometheus did not see two servers: %s", last)
		}
		time.Sleep(50 * time.Millisecond)
	}
	// server is a label of its own, which the target's instance does not rename.
	if value, said := query(address, `count(farmhand_instance_serving{server="web-2",exported_instance=""} == 1)`); value != "1" {
		t.Errorf("web-2: %s", said)
	}
	if value, said := query(address, `scrape_samples_scraped{job="farmhand"} > 20`); value == "" {
		t.Errorf("samples: %s", said)
	}
	_, said, err := get(address, "/api/v1/rules")
	if err != nil || strings.Contains(said, `"health":"err"`) || strings.Count(said, `"type":"alerting"`) < 20 {
		t.Errorf("rules: %v %s", err, said)
	}
	if value, said := query(address, `ALERTS{alertstate="firing"}`); value != "" {
		t.Errorf("a farm that is well fires %s", said)
	}
}

// startPrometheus runs it on a free port until the test ends.
func startPrometheus(t *testing.T, path, config string) (address string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	l.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("Prometheus' log:\n%s", log.String())
		}
	})
	return address
}

// query is the value of the only series that there is, "" for none, and the whole answer.
func query(address, expression string) (value, said string) {
	_, said, err := get(address, "/api/v1/query?query="+url.QueryEscape(expression))
	if err != nil {
		return "", err.Error()
	}
	var answer struct {
		Data struct {
			Result []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(said), &answer); err != nil || len(answer.Data.Result) != 1 {
		return "", said
	}
	return fmt.Sprint(answer.Data.Result[0].Value[1]), said
}
