package trace

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Options say how a file is to be read. The zero value takes what the file itself shows.
type Options struct {
	// Column is the name of the value's column of a CSV file. Empty: the second of two; else the one called demand,
	// value, load, requests or rps.
	Column string
	// Series is the id or label of one of several metrics in a CloudWatch export.
	Series string
	Gaps   Gaps
	// PerServer: the values are a metric's average over servers, not the demand on all of them. They are multiplied by
	// the number of servers that there were: the CSV's column "servers", or Servers.
	PerServer bool
	Servers   int
	// Scale is what every value is multiplied by; 0 is 1. Percent of CPU become shares by 0.01.
	Scale float64
}

// Open looks at a file and returns it as a Source: CSV, or the JSON of `aws cloudwatch get-metric-data`,
// `aws cloudwatch get-metric-statistics` or Prometheus' /api/v1/query_range. The file is read whenever the Source is.
func Open(path string, o Options) (Source, error) {
	f := &file{path: path, Options: o}
	if f.Scale == 0 {
		f.Scale = 1
	}
	if f.Gaps == "" {
		f.Gaps = GapsRefuse
	}
	r, err := f.Open() // the first mistakes at once
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	if _, err := r.Next(); err == nil {
		_, err = r.Next()
		if err != nil {
			return nil, err
		}
	} else {
		return nil, err
	}
	return f, nil
}

type file struct {
	path string
	Options
}

func (f *file) Name() string { return filepath.Base(f.path) }

func (f *file) Open() (Reader, error) {
	r, err := f.open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	return &named{Reader: r, name: f.path}, nil
}

func (f *file) open() (Reader, error) {
	in, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	info, err := in.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("is a folder: name a file of it")
	}
	if err != nil {
		_ = in.Close()
		return nil, err
	}
	b := bufio.NewReaderSize(in, 1<<16)
	var r raw
	if isJSON(b) {
		r, err = readJSON(b, info.Size(), f.Options)
		_ = in.Close()
	} else if r, err = readCSV(b, in, info.Size(), f.Options); err != nil {
		_ = in.Close()
	}
	if err != nil {
		return nil, err
	}
	return &checked{raw: r, gaps: f.Gaps}, nil
}

// isJSON looks for the brace that every export begins with.
func isJSON(b *bufio.Reader) bool {
	head, err := b.Peek(64)
	if err != nil && len(head) == 0 {
		return false
	}
	head = bytes.TrimLeft(bytes.TrimPrefix(head, bom), " \t\r\n")
	return len(head) > 0 && (head[0] == '{' || head[0] == '[')
}

var bom = []byte("\xef\xbb\xbf")

// named puts the file's name in front of errors.
type named struct {
	Reader
	name string
}

func (n *named) Next() (Point, error) {
	p, err := n.Reader.Next()
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%s: %w", n.name, err)
	}
	return p, err
}
