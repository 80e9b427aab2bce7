package exporter_test

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/exporter"
)

const rulesFile, rulesTests, guide = "../../examples/prometheus/farmhand.rules.yml", "../../examples/prometheus/farmhand.rules_test.yml", "../../templates/guides/monitoring.md"

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: apt-get install prometheus")
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Prometheus' own linter has nothing to say about names, units and help.
func TestLint(t *testing.T) {
	var out bytes.Buffer
	if err := exporter.Write(&out, shop(t).collector()); err != nil {
		t.Fatal(err)
	}
	promtool(t, out.String(), "check", "metrics")
}

func TestRules(t *testing.T) {
	promtool(t, "", "check", "rules", "--lint-fatal", rulesFile)
	if !testing.Short() {
		promtool(t, "", "test", "rules", rulesTests)
	}
}

// Rules and guide speak of metrics that there are, by labels that they have, and each rule is tested and told of.
func TestRulesAreOfTheseMetrics(t *testing.T) {
	rules, tests, page := read(t, rulesFile), read(t, rulesTests), read(t, guide)
	labels := map[string][]string{}
	for _, m := range exporter.Metrics() {
		labels[m.Name] = m.Labels
	}
	name := regexp.MustCompile(`(farmhand_[a-z_]+)(\{[^}]*\})?`)
	label := regexp.MustCompile(`([a-z_]+)[=!]`)
	for file, text := range map[string]string{rulesFile: rules, rulesTests: tests, guide: page} {
		for _, found := range name.FindAllStringSubmatch(text, -1) {
			known, ok := labels[found[1]]
			if resource := found[1] == "farmhand_sidecar" || found[1] == "farmhand_role"; !ok && !resource {
				t.Errorf("%s: there is no metric %s", file, found[1])
			}
			for _, l := range label.FindAllStringSubmatch(found[2], -1) {
				if l[1] != "instance" && ok && !strings.Contains(" "+strings.Join(known, " ")+" ", " "+l[1]+" ") {
					t.Errorf("%s: %s has no label %s", file, found[1], l[1])
				}
			}
		}
	}
	alerts := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(rules, -1)
	if len(alerts) < 20 {
		t.Fatalf("%d rules found", len(alerts))
	}
	for _, a := range alerts {
		if !strings.Contains(tests, `"`+a[1]+`"`) {
			t.Errorf("%s is not tested", a[1])
		}
		if !strings.Contains(page, a[1]) {
			t.Errorf("%s is not in the guide", a[1])
		}
	}
}

// The guide's table is what is described, word by word.
func TestGuide(t *testing.T) {
	page := read(t, guide)
	rows := regexp.MustCompile("(?m)^\\| `(farmhand_[a-z_]+)` \\|.*$").FindAllStringSubmatch(page, -1)
	listed := map[string]string{}
	for _, r := range rows {
		listed[r[1]] = r[0]
	}
	for _, m := range exporter.Metrics() {
		want := "| `" + m.Name + "` | " + strings.Join(m.Labels, ", ") + " | " + m.Help + " |"
		if listed[m.Name] != want {
			t.Errorf("the guide should say\n%s", want)
		}
		delete(listed, m.Name)
	}
	for name := range listed {
		t.Errorf("the guide lists %s, which there is not", name)
	}
}
