package policy

import (
	"os"
	"strings"
	"testing"
)

// The guide explains every right in the very words of --explain.
func TestGuideIsOfThesePolicies(t *testing.T) {
	const file = "../../../templates/guides/iam.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	guide := string(text)
	for name, d := range documents(scope) {
		mark := "<!-- policy " + name + " -->\n"
		before, rest, found := strings.Cut(guide, mark)
		_, after, ended := strings.Cut(rest, "<!-- end -->")
		if !found || !ended {
			t.Fatalf("%s has no place for the policy %s", file, name)
		}
		guide = before + mark + "```text\n" + d.Explain() + "```\n<!-- end -->" + after
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(guide), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if guide != string(text) {
		t.Errorf("%s is of other policies: go test ./internal/deploy/policy -rewrite, then make generate", file)
	}
}
