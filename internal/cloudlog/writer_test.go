package cloudlog_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest"
	"github.com/farmhand/terraform-provider-farmhand/internal/cloudlog"
)

// world is CloudWatch Logs in virtual time, and a Writer to group "farmhand".
type world struct {
	*testing.T
	*awstest.Server
	w       *cloudlog.Writer
	trouble []string
}

func within(t *testing.T, test func(*world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, Server: awstest.New(awstest.Options{InProcess: true})}
		defer w.Close()
		w.w = cloudlog.Start(cloudlog.Options{Group: "farmhand", Stream: "main/host", Trouble: func(err error) { w.trouble = append(w.trouble, fmt.Sprint(err)) },
			Config: func(context.Context) (aws.Config, error) { return w.Config(), nil }})
		test(w)
		if err := w.w.Close(t.Context()); err != nil {
			t.Log("closing: ", err)
		}
	})
}

func (w *world) pass(d time.Duration) {
	time.Sleep(d) // virtual
	synctest.Wait()
}

func (w *world) lines() []string { return w.Logs.Lines("farmhand")["main/host"] }

// TestLines: each line is an event, in its order; a close sends what waits.
func TestLines(t *testing.T) {
	within(t, func(w *world) {
		w.Logs.AddGroup("farmhand")
		fmt.Fprintln(w.w, "the first")
		fmt.Fprint(w.w, "the second\n\nthe third\n")
		if got := w.lines(); len(got) != 0 {
			t.Errorf("%q were sent at once", got)
		}
		w.pass(3 * time.Second)
		if got := strings.Join(w.lines(), "|"); got != "the first|the second|the third" {
			t.Errorf("sent were %q", got)
		}
		w.ResetCalls()
		w.pass(time.Minute)
		if n := len(w.Calls()); n != 0 {
			t.Errorf("%d calls where nothing is to be said", n)
		}
		fmt.Fprintln(w.w, "the last\xff")
		if err := w.w.Close(w.Context()); err != nil {
			t.Error(err)
		}
		if got := w.lines(); got[len(got)-1] != "the last?" {
			t.Errorf("sent were %q", got)
		}
	})
}

// TestManyLines: more than a call takes goes in several.
func TestManyLines(t *testing.T) {
	within(t, func(w *world) {
		w.Logs.AddGroup("farmhand")
		for n := range 12_000 {
			fmt.Fprintln(w.w, n)
		}
		for range 8 {
			fmt.Fprintln(w.w, strings.Repeat("x", 300<<10)) // longer than an event may be
		}
		w.pass(3 * time.Second)
		got := w.lines()
		if len(got) != 12_008 || got[0] != "0" || got[11_999] != "11999" || len(got[12_007]) != 256<<10-26 {
			t.Errorf("%d lines were sent, the last of %d bytes", len(got), len(got[len(got)-1]))
		}
		if n := w.Calls().Count("PutLogEvents"); n != 4 {
			t.Errorf("%d calls", n)
		}
	})
}

// TestNobodyTakesThem: whoever logs notices nothing; the trouble is told once, and what was dropped for want of room is counted.
func TestNobodyTakesThem(t *testing.T) {
	within(t, func(w *world) {
		line := strings.Repeat("y", 100<<10)
		for range 60 {
			if n, err := io.WriteString(w.w, line+"\n"); n != len(line)+1 || err != nil {
				t.Fatalf("a write returned %d, %v", n, err)
			}
		}
		w.pass(5 * time.Minute)
		if len(w.trouble) != 1 || !strings.Contains(w.trouble[0], "log group farmhand") || !strings.Contains(w.trouble[0], "does not exist") {
			t.Errorf("the trouble was told as %q", w.trouble)
		}
		w.Logs.AddGroup("farmhand") // somebody makes it
		w.pass(time.Minute)
		got := w.lines()
		if len(got) < 40 || len(got) > 41 || !strings.Contains(got[len(got)-1], "lines of this log were dropped") {
			t.Errorf("%d lines were sent, the last %.80q", len(got), got[len(got)-1])
		}
		if len(w.trouble) != 2 || w.trouble[1] != "<nil>" {
			t.Errorf("the trouble was told as %q", w.trouble)
		}
	})
}
