//go:build unix

package daemon

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// A file that somebody still holds open for writing cannot be executed; as soon as it is closed it can.
func TestStartWaitsForABusyExecutable(t *testing.T) {
	sh, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Skip("no /bin/true to copy: ", err)
	}
	path := filepath.Join(t.TempDir(), "copy")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(sh); err != nil {
		t.Fatal(err)
	}
	tries := 0
	cmd, err := startOnceNotBusy(t.Context(), func() *exec.Cmd {
		if tries++; tries == 2 {
			f.Close()
		}
		return exec.Command(path)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if tries != 2 {
		t.Errorf("started at try %d, want the second", tries)
	}
	if _, err := startOnceNotBusy(t.Context(), func() *exec.Cmd { return exec.Command(filepath.Join(t.TempDir(), "none")) }); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("an executable that is not there: %v, want that at once", err)
	}
}
