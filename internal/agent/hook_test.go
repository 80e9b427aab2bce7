package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// TestShutdownHook declares one hook after the other on a running instance.
func TestShutdownHook(t *testing.T) {
	l := born(t, &scripted{})
	says := func(reason string) func(state.Report) bool {
		return func(r state.Report) bool { return r.Wait != nil && r.Wait.Reason == reason }
	}
	free := func(r state.Report) bool { return r.Serving() && r.Wait == nil }

	l.assign(spec.Role{})
	l.await("serving without a hook", free)

	job := filepath.Join(t.TempDir(), "job")
	l.must(os.WriteFile(job, []byte("17"), 0o600))
	l.assign(spec.Role{ShutdownHook: "test -e " + job + " || exit 0\necho looking\necho $FARMHAND_INSTANCE is busy with job $(cat " + job + ") >&2\nexit 1"})
	first := l.await("busy", says("web-1 is busy with job 17")).Wait
	l.must(os.WriteFile(job, []byte("18"), 0o600))
	second := l.await("busy with the next", says("web-1 is busy with job 18")).Wait
	if !second.Since.Equal(first.Since) {
		t.Errorf("it has said wait since %s and, without a break, since %s", first.Since, second.Since)
	}
	l.must(os.Remove(job))
	l.await("free", free)

	for hook, want := range map[string]string{
		"exit 3":        "wait (exit status 3)",
		"kill -KILL $$": "nothing: it was ended by signal 9 (killed)",
		"echo " + strings.Repeat("x", 1000) + "; exit 1": strings.Repeat("x", hookWidth) + "...",
	} {
		l.assign(spec.Role{ShutdownHook: hook})
		l.await("saying "+want, says(want))
	}
	l.assign(spec.Role{ShutdownHook: "#!/no/such/shell\n"})
	l.await("saying that it cannot run", func(r state.Report) bool { return r.Wait != nil && strings.Contains(r.Wait.Reason, "shutdown-hook") })
	l.assign(spec.Role{ShutdownHook: "true"})
	l.await("free again", free)
	l.assign(spec.Role{ShutdownHook: "exit 1"})
	l.await("waiting", says("wait (exit status 1)"))
	l.assign(spec.Role{})
	l.await("without a hook", free)
}
