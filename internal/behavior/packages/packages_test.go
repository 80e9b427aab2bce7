package packages

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/behaviortest"
)

// debian is a machine with some packages; apt is told to fail by apt.
func debian(apt func(string) error, has ...string) *behaviortest.Commander {
	c := &behaviortest.Commander{}
	c.Refuse(func(line string) error {
		if strings.Contains(line, "apt-get") {
			return apt(line)
		}
		_, names, _ := strings.Cut(line, "done sh ") // behind the script that asks for them
		for name := range strings.FieldsSeq(names) {
			if !slices.Contains(has, name) {
				return errors.New("exit status 1")
			}
		}
		return nil
	})
	return c
}

func installs(c *behaviortest.Commander) (lines []string) {
	for _, line := range c.Ran() {
		if strings.Contains(line, "apt-get") {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestNothingIsDoneIfAllAreThere(t *testing.T) {
	c := debian(nil, "apache2", "php-mysql")
	if err := Ensure(t.Context(), c, t.TempDir(), "apache2", "php-mysql"); err != nil {
		t.Fatal(err)
	}
	if ran := c.Ran(); len(ran) != 1 {
		t.Errorf("it ran %q; one question would do", ran)
	}
}

func TestOnlyTheMissingAreInstalledAndNothingStarts(t *testing.T) {
	root := t.TempDir()
	policy := filepath.Join(root, "usr/sbin/policy-rc.d")
	c := debian(func(line string) error {
		if _, err := os.Stat(policy); err != nil {
			t.Errorf("%s: services may start by themselves: %v", line, err)
		}
		return nil
	}, "apache2")
	if err := Ensure(t.Context(), c, root, "apache2", "php-mysql", "memcached"); err != nil {
		t.Fatal(err)
	}
	lines := installs(c)
	if len(lines) != 2 || !strings.HasSuffix(lines[0], " update") || !strings.HasSuffix(lines[1], "--no-install-recommends php-mysql memcached") {
		t.Errorf("it ran %q", lines)
	}
	if _, err := os.Stat(policy); err == nil {
		t.Error("policy-rc.d is left behind")
	}
}

func TestFailureNamesWhatIsMissing(t *testing.T) {
	root := t.TempDir()
	own := filepath.Join(root, "usr/sbin/policy-rc.d")
	if err := os.MkdirAll(filepath.Dir(own), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(own, []byte("the image's own"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := debian(func(line string) error {
		if strings.HasSuffix(line, " update") {
			return errors.New("Could not resolve 'mirror.example.org'")
		}
		return nil
	})
	err := Ensure(t.Context(), c, root, "haproxy")
	if err == nil || !strings.Contains(err.Error(), "haproxy") || !strings.Contains(err.Error(), "Could not resolve") {
		t.Errorf("the error is %v", err)
	}
	if b, _ := os.ReadFile(own); string(b) != "the image's own" {
		t.Errorf("the image's own policy-rc.d is now %q", b)
	}
}

func TestEndOfTheBootEndsIt(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("told to stop")
	c := debian(func(string) error { cancel(stopped); return context.Cause(ctx) })
	if err := Ensure(ctx, c, t.TempDir(), "haproxy"); !errors.Is(err, stopped) {
		t.Errorf("the error is %v, want %v", err, stopped)
	}
}
