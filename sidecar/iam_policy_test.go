package sidecar

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestIAMPolicyIsPrinted(t *testing.T) {
	run := func(args ...string) (code int, out string) {
		var stdout, stderr bytes.Buffer
		code = execute(t.Context(), append([]string{"iam-policy"}, args...), "1.0.0", &stdout, &stderr)
		return code, stdout.String() + stderr.String()
	}
	for _, whom := range []string{"sidecar", "instance", "provider"} {
		code, out := run("--for", whom, "--farm", "shop", "--account", "123456789012", "--region", "eu-west-1")
		if code != ExitOK || !json.Valid([]byte(out)) || !strings.Contains(out, "arn:aws:s3:::farmhand-123456789012-eu-west-1/blobs/*") {
			t.Errorf("%s: exit status %d, %s", whom, code, out)
		}
		if code, out := run("--for", whom, "--farm", "shop", "--explain"); code != ExitOK || !strings.Contains(out, "only if") {
			t.Errorf("%s explained: exit status %d, %s", whom, code, out)
		}
	}
	if code, out := run("--for", "instance"); code != ExitUsage || !strings.Contains(out, "--farm shop") {
		t.Errorf("an instance of no farm: exit status %d, %s", code, out)
	}
	code, out := run("--for", "instance", "--farm", "new", "--restore-from", "left/farmhand/old/mysql")
	if code != ExitOK || !strings.Contains(out, "arn:aws:s3:::left/farmhand/old/mysql/*") || strings.Contains(out, "s3:PutObject") {
		t.Errorf("for a restore from elsewhere: exit status %d, %s", code, out)
	}
	if code, out := run("--for", "instance", "--farm", "new", "--restore-from", "left"); code != ExitUsage || !strings.Contains(out, "BUCKET/FARM/ROLE") {
		t.Errorf("exit status %d, %s", code, out)
	}
	if code, _ := run("--for", "everybody"); code != ExitUsage {
		t.Errorf("nobody: exit status %d", code)
	}
}
