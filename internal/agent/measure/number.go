package measure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/agent/process"
)

// mostText is as long as a number may be with what stands around it.
const mostText = 256

// file is a file that holds one number.
type file struct{ path string }

func (f file) measure(context.Context, time.Time) (float64, error) {
	// A pipe or a device would hold the reader up for ever.
	info, err := os.Stat(f.path)
	if err != nil {
		return 0, fmt.Errorf("reading the number: %w", err)
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("%s is no regular file", f.path)
	}
	r, err := os.Open(f.path)
	if err != nil {
		return 0, fmt.Errorf("reading the number: %w", err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, mostText+1))
	if err != nil && !errors.Is(err, fs.ErrClosed) {
		return 0, fmt.Errorf("reading the number: %w", err)
	}
	if len(b) > mostText {
		return 0, fmt.Errorf("%s holds more than a number", f.path)
	}
	v, err := number(string(b))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", f.path, err)
	}
	return v, nil
}

// command is a program whose last line is a number.
type command struct {
	run   func(context.Context, process.Command) error
	argv  []string
	limit time.Duration
}

func (c command) measure(ctx context.Context, _ time.Time) (float64, error) {
	last := process.NewLines(1)
	if err := c.run(ctx, process.Command{Name: c.argv[0], Args: c.argv[1:], Dir: "/", Output: last}); err != nil {
		return 0, err
	}
	lines := last.Last()
	if len(lines) == 0 {
		return 0, fmt.Errorf("%s printed nothing", c.argv[0])
	}
	v, err := number(lines[0])
	if err != nil {
		return 0, fmt.Errorf("%s: %w", c.argv[0], err)
	}
	return v, nil
}

// number reads one, blanks around it allowed.
func number(s string) (float64, error) {
	s = strings.TrimSpace(s)
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		if len(s) > 40 {
			s = s[:40] + "..."
		}
		return 0, fmt.Errorf("%q is no number", s)
	}
	return v, nil
}
