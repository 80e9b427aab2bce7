package process

import (
	"bytes"
	"strings"
	"sync"
)

// maxLine is where an endless line is cut, in bytes: the lines travel in every report.
const maxLine = 400

// Lines is a writer that keeps the last lines. Safe for concurrent use.
type Lines struct {
	mu   sync.Mutex
	keep int
	full []string
	part []byte
}

// NewLines keeps the last n lines.
func NewLines(n int) *Lines { return &Lines{keep: n} }

// Write never fails. What follows the last newline counts as a line too.
func (l *Lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(b)
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			l.extend(b)
			return n, nil
		}
		l.extend(b[:i])
		if line := l.line(); line != "" {
			l.full = append(l.full, line)
		}
		if len(l.full) > l.keep {
			l.full = append(l.full[:0], l.full[len(l.full)-l.keep:]...)
		}
		l.part = l.part[:0]
		b = b[i+1:]
	}
}

func (l *Lines) extend(b []byte) {
	if room := maxLine - len(l.part); len(b) > room {
		b = b[:max(room, 0)]
	}
	l.part = append(l.part, b...)
}

// line is the unfinished line as a person should see it: apt and curl redraw a line by carriage returns.
func (l *Lines) line() string {
	s := strings.TrimRight(string(l.part), "\r ")
	if i := strings.LastIndexByte(s, '\r'); i >= 0 {
		s = s[i+1:]
	}
	return strings.ToValidUTF8(s, "?")
}

// Last returns the lines kept, oldest first.
func (l *Lines) Last() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := append([]string(nil), l.full...)
	if s := l.line(); s != "" {
		lines = append(lines, s)
	}
	if len(lines) > l.keep {
		lines = lines[len(lines)-l.keep:]
	}
	return lines
}

// Cut is Last with every line cut at width bytes.
func (l *Lines) Cut(width int) []string {
	lines := l.Last()
	for i, s := range lines {
		if len(s) > width {
			lines[i] = strings.ToValidUTF8(s[:width], "") + "..."
		}
	}
	return lines
}
