// Package fifo makes pipes with a name, by which programs hand over what they print, or are fed.
package fifo

import (
	"fmt"
	"os"
	"syscall"
)

// FIFO is one pipe.
//
// Both ends are open here, so that the program's own end opens at once, whichever it is, and neither end sees the other
// one gone before it came. Who reads closes w when the program that writes has ended; who writes closes r when the
// program that reads has.
type FIFO struct {
	Path string
	R, W *os.File
}

// New makes the pipe at path, in place of what was there.
func New(path string) (*FIFO, error) {
	_ = os.Remove(path)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return nil, fmt.Errorf("making the pipe %s: %w", path, err)
	}
	// Without blocking: there is nobody at the other end yet, and a closed end is to wake who waits at it.
	r, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the pipe %s: %w", path, err)
	}
	w, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("opening the pipe %s: %w", path, err)
	}
	return &FIFO{path, r, w}, nil
}

// Close closes both ends and removes the name.
func (f *FIFO) Close() {
	f.R.Close()
	f.W.Close()
	os.Remove(f.Path)
}
