package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/sqlite"
)

// childEnv makes the test binary the other process of these tests: its value is the store's path. The child writes
// each key that it reads from its input, and says so on its output; "!key" deletes, "*" writes until it is killed.
const childEnv = "FARMHAND_SQLITE_TEST_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		if err := child(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(path string) error {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	fmt.Println("open")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case line == "*":
			for i := 0; ; i++ {
				key := fmt.Sprintf("shop/storm/%08d", i)
				if _, err := s.Put(ctx, key, make([]byte, 1000)); err != nil {
					return err
				}
				fmt.Println(key)
			}
		case strings.HasPrefix(line, "!"):
			err = s.Delete(ctx, line[1:])
		default:
			_, err = s.Put(ctx, line, []byte(line))
		}
		if err != nil {
			return err
		}
		fmt.Println(line)
	}
	return s.Close()
}

// process is a child with the store open.
type process struct {
	cmd   *exec.Cmd
	input io.WriteCloser
	said  *bufio.Scanner
}

func start(t testing.TB, path string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), childEnv+"="+path)
	p.cmd.Stderr = os.Stderr
	var err error
	if p.input, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	output, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.said = bufio.NewScanner(output)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	p.want(t, "open")
	return p
}

func (p *process) want(t testing.TB, line string) {
	t.Helper()
	if !p.said.Scan() || p.said.Text() != line {
		t.Fatalf("the child said %q, want %q", p.said.Text(), line)
	}
}

func (p *process) tell(t testing.TB, line string) {
	t.Helper()
	if _, err := fmt.Fprintln(p.input, line); err != nil {
		t.Fatal(err)
	}
	if line != "*" {
		p.want(t, line)
	}
}

func TestWatchSeesAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "farmhand.db")
	s, other := open(t, path), start(t, path)
	hints, err := s.Watch(t.Context(), "shop/a/")
	if err != nil {
		t.Fatal(err)
	}
	<-hints
	for _, line := range []string{"shop/a/1", "shop/a/1", "!shop/a/1"} {
		other.tell(t, line)
		select {
		case <-hints:
		case <-time.After(30 * time.Second):
			t.Fatalf("no hint of the other process's %q", line)
		}
	}
	if _, err := s.Get(t.Context(), "shop/a/1"); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("got error %v, want ErrNotFound", err)
	}
}

// A process that is killed in the middle of its writes leaves all that it was told is written, and a sound file.
func TestKilledProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "farmhand.db")
	s, other := open(t, path), start(t, path)
	other.tell(t, "*")
	last := ""
	for range 500 {
		if !other.said.Scan() {
			t.Fatal("the child ended early")
		}
		last = other.said.Text()
	}
	if err := other.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for other.said.Scan() {
		last = other.said.Text()
	}
	_ = other.cmd.Wait()
	for _, s := range []*sqlite.Store{s, open(t, path)} {
		if _, err := s.Get(t.Context(), last); err != nil {
			t.Fatalf("the last acknowledged write: %v", err)
		}
		if _, err := s.Put(t.Context(), "shop/after", nil); err != nil {
			t.Fatalf("writing after the kill: %v", err)
		}
	}
}

func BenchmarkWatchAcrossProcesses(b *testing.B) {
	path := filepath.Join(b.TempDir(), "farmhand.db")
	s, other := open(b, path), start(b, path)
	hints, err := s.Watch(b.Context(), "shop/a/")
	if err != nil {
		b.Fatal(err)
	}
	<-hints
	for b.Loop() {
		other.tell(b, "shop/a/1")
		<-hints
	}
}
