package mysql

import (
	"fmt"
	"os"
	"syscall"
)

// fifo is a pipe with a name, by which programs that a Commander runs hand over what they print, or are fed.
//
// Both ends are open here, so that the program's own end opens at once, whichever it is, and neither end sees the other
// one gone before it came. Who reads closes w when the program that writes has ended; who writes closes r when the
// program that reads has.
type fifo struct {
	path string
	r, w *os.File
}

func newFIFO(path string) (*fifo, error) {
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
	return &fifo{path, r, w}, nil
}

func (f *fifo) close() {
	f.r.Close()
	f.w.Close()
	os.Remove(f.path)
}
