package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds waiting for real processes; a test that fails by it was stuck.
const patience = 20 * time.Second

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestRunTellsHowItEnded(t *testing.T) {
	out := NewLines(10)
	table := NewTable(out)
	if err := table.Run(t.Context(), "sh", "-c", "echo fine; echo too >&2"); err != nil {
		t.Errorf("a success is an error: %v", err)
	}
	if got := out.Last(); !slices.Contains(got, "fine") || !slices.Contains(got, "too") {
		t.Errorf("printed: %q", got)
	}
	err := table.Run(t.Context(), "sh", "-c", "for i in 1 2 3 4 5 6 7; do echo line $i; done; exit 3")
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Code != 3 || exit.Signal != 0 || strings.Join(exit.Lines, ",") != "line 3,line 4,line 5,line 6,line 7" {
		t.Errorf("got %+v (%v); want status 3 and the last five lines", exit, err)
	}
	err = table.Run(t.Context(), "sh", "-c", "kill -9 $$")
	if !errors.As(err, &exit) || exit.Signal != syscall.SIGKILL {
		t.Errorf("got %v; want an end by signal 9", err)
	}
	if err := table.Run(t.Context(), "no-such-program"); err == nil || errors.As(err, &exit) && exit == nil {
		t.Errorf("a program that is not there: %v", err)
	}
}

func TestEndOfContextKillsAllThatTheCommandStarted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	go func() {
		for {
			if b, _ := os.ReadFile(file); bytes.HasSuffix(b, []byte("\n")) {
				cancel(enough)
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	err := NewTable(NewLines(1)).Run(ctx, "sh", "-c", "sleep 1000 & echo $! >"+file+"; wait")
	if !errors.Is(err, enough) {
		t.Errorf("got %v, want the context's cause", err)
	}
	b, _ := os.ReadFile(file)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "its child is gone", func() bool { return !running(pid) })
}

// running tells whether the process is there and no zombie.
func running(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
}

func TestDaemonLeftBehindHoldsNobodyUp(t *testing.T) {
	out := NewLines(10)
	if err := NewTable(out).Run(t.Context(), "sh", "-c", "sleep 1000 & echo $!"); err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.Join(out.Last(), ""))
	if err != nil {
		t.Fatal(err)
	}
	if !running(pid) {
		t.Error("the daemon was ended with the command that started it")
	}
	syscall.Kill(pid, syscall.SIGKILL)
}

func TestService(t *testing.T) {
	p, err := NewTable(NewLines(1)).Start(t.Context(), "sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.01; done")
	if err != nil {
		t.Fatal(err)
	}
	if p.Err() != nil || !running(p.Pid()) {
		t.Errorf("it does not run: %v", p.Err())
	}
	// A shell takes a moment to set its trap; a signal before that ends it by the signal.
	eventually(t, "the service ends", func() bool {
		p.Signal(int(syscall.SIGTERM))
		select {
		case <-p.Done():
			return true
		case <-time.After(10 * time.Millisecond):
			return false
		}
	})
	if p.Err() == nil {
		t.Error("its end is no error")
	}
	if err := p.Signal(int(syscall.SIGTERM)); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("a signal to what has ended: %v", err)
	}
}

// As process 1 would, the test inherits orphans, and buries them while it waits for children of its own.
func TestOrphansAreBuriedAndOwnChildrenAreNot(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Skipf("this kernel has no subreapers: %v", err)
	}
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	table := NewTable(NewLines(1))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); table.Reap(ctx) }()
	// The only looks that are sure to happen are these: at every moment of the children's lives.
	go func() {
		for ctx.Err() == nil {
			table.reapOrphans()
		}
	}()

	dir := t.TempDir()
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			// The subshell's child is orphaned when the subshell ends, and ends soon after.
			err := table.Run(t.Context(), "sh", "-c", fmt.Sprintf("(sleep 0.02 & echo $! >%s/%d); exit %d", dir, i, i+1))
			var exit *ExitError
			if !errors.As(err, &exit) || exit.Code != i+1 {
				t.Errorf("child %d: %v; want its own status %d", i, err, i+1)
			}
		})
	}
	all.Wait()
	for i := range 40 {
		b, err := os.ReadFile(filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "orphan "+string(b)+" is buried", func() bool {
			_, err := os.Stat("/proc/" + strings.TrimSpace(string(b)))
			return os.IsNotExist(err)
		})
	}
	stop()
	<-done
}

func TestLines(t *testing.T) {
	for _, c := range []struct {
		name   string
		writes []string
		want   []string
	}{
		{"nothing", nil, nil},
		{"an unfinished line counts", []string{"a\nb"}, []string{"a", "b"}},
		{"pieces", []string{"he", "llo\nwor", "ld\n"}, []string{"hello", "world"}},
		{"only the last", []string{"1\n2\n3\n4\n5"}, []string{"3", "4", "5"}},
		{"blank ones are left out", []string{"a\n\n \nb\n"}, []string{"a", "b"}},
		{"a redrawn line is as it was last", []string{"10%\r50%\r100%\r\n"}, []string{"100%"}},
		{"an endless line is cut", []string{strings.Repeat("x", 10*maxLine), "y\nz"}, []string{strings.Repeat("x", maxLine), "z"}},
		{"no text", []string{"\xff\xfe\n"}, []string{"?"}},
	} {
		l := NewLines(3)
		for _, w := range c.writes {
			if n, err := l.Write([]byte(w)); n != len(w) || err != nil {
				t.Errorf("%s: Write returned %d, %v", c.name, n, err)
			}
		}
		if got := l.Last(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
