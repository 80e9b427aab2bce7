package sidecar

import (
	"io"
	"os"

	"github.com/fatih/color"
	"golang.org/x/term"
)

// palette colours text for a writer, or leaves it alone.
type palette struct{ on bool }

// colours are on for a terminal, unless NO_COLOR says otherwise (no-color.org) or the terminal cannot.
func colours(w io.Writer) palette {
	f, ok := w.(*os.File)
	return palette{ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func (p palette) paint(s string, attributes ...color.Attribute) string {
	if !p.on || s == "" {
		return s
	}
	c := color.New(attributes...)
	c.EnableColor()
	return c.Sprint(s)
}

func (p palette) good(s string) string  { return p.paint(s, color.FgGreen) }
func (p palette) bad(s string) string   { return p.paint(s, color.FgRed) }
func (p palette) warn(s string) string  { return p.paint(s, color.FgYellow) }
func (p palette) faint(s string) string { return p.paint(s, color.Faint) }
func (p palette) bold(s string) string  { return p.paint(s, color.Bold) }
