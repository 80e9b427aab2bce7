//go:build unix

package daemon

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// flock takes the file's lock without waiting.
func flock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errLocked
	}
	if err != nil {
		return fmt.Errorf("locking %s: %w", f.Name(), err)
	}
	return nil
}

// detach gives the command a session of its own: a Ctrl-C in the terminal reaches Terraform's whole process group,
// and must not end the sidecar.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// Isolate lets go of what a daemon inherits from the shell that started Terraform: open files (a pipe held open
// keeps a CI step waiting for ever) and the umask. Go marks every file of its own close-on-exec, so that a
// descriptor without the mark is an inherited one. Call it first.
func Isolate() {
	unix.Umask(0o077)
	for _, dir := range []string{"/proc/self/fd", "/dev/fd"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			fd, err := strconv.Atoi(e.Name())
			if err != nil || fd < 3 {
				continue
			}
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			if err == nil && flags&unix.FD_CLOEXEC == 0 {
				_ = unix.Close(fd)
			}
		}
		return
	}
}

func terminate(pid int) error { return unix.Kill(pid, unix.SIGTERM) }
func kill(pid int) error      { return unix.Kill(pid, unix.SIGKILL) }
