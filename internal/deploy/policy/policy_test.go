package policy

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

var scope = Scope{Region: "eu-west-1", Account: "123456789012", Table: "farmhand", Bucket: "my-bucket", Farms: []string{"shop"}}

func documents(s Scope) map[string]Document {
	s.Backups, s.LogGroup = []string{"my-backups/databases"}, "farmhand"
	return map[string]Document{"instance": Instance(s), "sidecar": Sidecar(s), "provider": Provider(s)}
}

// What is printed is reviewed as a file: a right more or less shows as a difference.
func TestPoliciesAreAsReviewed(t *testing.T) {
	for name, d := range documents(scope) {
		for ext, got := range map[string]string{".json": d.JSON(), ".txt": d.Explain()} {
			file := filepath.Join("testdata", name+ext)
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want, err := os.ReadFile(file); err != nil || string(want) != got {
				t.Errorf("%s differs (%v); see the difference with go test ./internal/deploy/policy -rewrite, and review it. Now:\n%s", file, err, got)
			}
		}
	}
}

// Limits of IAM: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
func TestPoliciesFitIntoARole(t *testing.T) {
	many := scope
	many.Farms = nil
	for i := range 18 {
		many.Farms = append(many.Farms, strings.Repeat("x", 10)+string(rune('a'+i)))
	}
	for _, s := range []Scope{scope, many} {
		for name, d := range documents(s) {
			if name == "provider" {
				continue // it is a person's, and may be several managed policies
			}
			if n := len(d.Compact()); n > 10_240 {
				t.Errorf("%s of %d farms: %d characters, a role takes 10,240", name, len(s.Farms), n)
			}
		}
	}
}

func TestEveryStatementIsSound(t *testing.T) {
	sid := regexp.MustCompile(`^[A-Za-z0-9]+$`)
	action := regexp.MustCompile(`^[a-z0-9]+:[A-Z][A-Za-z]+$`)
	for name, d := range documents(scope) {
		seen := map[string]bool{}
		for _, s := range d.Statement {
			if !sid.MatchString(s.Sid) || seen[s.Sid] {
				t.Errorf("%s: statement %q has no name of its own", name, s.Sid)
			}
			seen[s.Sid] = true
			if s.Effect != "Allow" || s.Why == "" || len(s.Resource) == 0 || len(s.Action) == 0 {
				t.Errorf("%s: statement %+v is not whole", name, s)
			}
			for _, a := range s.Action {
				if !action.MatchString(a) || reason(a) == "" {
					t.Errorf("%s: %s: action %q is not explained", name, s.Sid, a)
				}
			}
			changes := false
			for _, a := range s.Action {
				_, verb, _ := strings.Cut(a, ":")
				changes = changes || !strings.HasPrefix(verb, "Describe") && !strings.HasPrefix(verb, "Get")
			}
			for _, r := range s.Resource {
				if r == "*" && changes {
					t.Errorf("%s: %s: what changes something is allowed on everything", name, s.Sid)
				}
			}
		}
	}
}

// What ends or changes machines and disks reaches nothing that is not tagged.
func TestNothingUntaggedCanBeEnded(t *testing.T) {
	for _, s := range []Scope{scope, {Region: "eu-west-1", Table: "t", Bucket: "b"}} {
		for name, d := range documents(s) {
			for _, st := range d.Statement {
				for _, a := range st.Action {
					_, verb, _ := strings.Cut(a, ":")
					ends := strings.HasPrefix(a, "ec2:") && (strings.HasPrefix(verb, "Terminate") || strings.HasPrefix(verb, "Stop") || strings.HasPrefix(verb, "Delete") || strings.HasPrefix(verb, "Release") || strings.HasPrefix(verb, "Detach"))
					b, _ := json.Marshal(st.Condition)
					if ends && !strings.Contains(string(b), "aws:ResourceTag/farmhand:") {
						t.Errorf("%s: %s allows %s under %s only", name, st.Sid, a, b)
					}
				}
			}
		}
	}
}

// An instance writes nowhere but under its own farm's agents.
func TestAnInstanceWritesReportsOnly(t *testing.T) {
	for _, st := range Instance(scope).Statement {
		for _, a := range st.Action {
			_, verb, _ := strings.Cut(a, ":")
			if strings.HasPrefix(verb, "Get") || strings.HasPrefix(verb, "Describe") || verb == "Query" || verb == "BatchGetItem" {
				continue
			}
			if got := st.Condition["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"]; len(got) != 1 || got[0] != "shop@agents" {
				t.Errorf("%s is allowed on %v", a, got)
			}
		}
	}
}

func TestOtherPartitionsOfAWS(t *testing.T) {
	s := scope
	s.Region = "cn-north-1"
	if j := Sidecar(s).JSON(); strings.Contains(j, "arn:aws:") || !strings.Contains(j, "ec2.amazonaws.com.cn") {
		t.Errorf("names of another partition in %s", j)
	}
	if !strings.Contains(TrustJSON("eu-west-1"), `"ec2.amazonaws.com"`) || !json.Valid([]byte(TrustJSON("eu-west-1"))) {
		t.Errorf("trust policy %s", TrustJSON("eu-west-1"))
	}
}
