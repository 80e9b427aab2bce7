package backup

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Log describes one stored binary log. All of it is in its object's name.
type Log struct {
	First  time.Time `json:"first"` // of its first transaction, or of its creation
	Last   time.Time `json:"last"`  // of its last one
	Server string    `json:"server"`
	File   string    `json:"file"` // as that server calls it
	Size   int64     `json:"size"` // stored
	// Begin and End are the sequence numbers of its first and last transaction, and Position is the GTID of the last, in the one domain
	// that a farm's servers write in. All of them are in it: none is skipped in between. Zero where that is not known: of logs
	// that an earlier version stored, of several domains, and of MySQL.
	Begin    uint64 `json:"begin,omitempty"`
	End      uint64 `json:"end,omitempty"`
	Position string `json:"position,omitempty"`
}

// Numbered tells whether it is known which transactions it holds.
func (l Log) Numbered() bool { return l.Begin > 0 && l.End >= l.Begin }

// logTime sorts, and is exact to the millisecond.
const logTime = "20060102T150405.000Z"

// numbers end the name of a log of which they are known: Begin and Position. A file's own name ends in its number and so in none.
var numbers = regexp.MustCompile(`_(\d+)-(\d+-\d+-\d+)$`)

func (l Log) name() string {
	name := strings.Join([]string{l.First.UTC().Format(logTime), l.Last.UTC().Format(logTime), l.Server, l.File}, "_")
	if l.Numbered() {
		name += fmt.Sprintf("_%d-%s", l.Begin, l.Position)
	}
	return name
}

func parseLog(name string) (Log, error) {
	var l Log
	rest := name
	if m := numbers.FindStringSubmatch(name); m != nil {
		rest = strings.TrimSuffix(name, m[0])
		l.Position = m[2]
		l.Begin, _ = strconv.ParseUint(m[1], 10, 64)
		l.End, _ = Sequence(l.Position)
	}
	parts := strings.SplitN(rest, "_", 4)
	if len(parts) != 4 {
		return Log{}, fmt.Errorf("%q is not the name of a binary log", name)
	}
	var err error
	if l.First, err = time.Parse(logTime, parts[0]); err != nil {
		return Log{}, fmt.Errorf("%q is not the name of a binary log: %w", name, err)
	}
	if l.Last, err = time.Parse(logTime, parts[1]); err != nil {
		return Log{}, fmt.Errorf("%q is not the name of a binary log: %w", name, err)
	}
	l.Server, l.File = parts[2], parts[3]
	return l, nil
}

// Sequence is the sequence number of a position in one domain, "0-1-42"; what is none is an error.
func Sequence(position string) (uint64, error) {
	parts := strings.Split(position, "-")
	if strings.Contains(position, ",") || len(parts) != 3 {
		return 0, fmt.Errorf("%q is no GTID of one domain, such as 0-1-42", position)
	}
	n, err := strconv.ParseUint(parts[2], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no GTID of one domain, such as 0-1-42", position)
	}
	return n, nil
}

// StoreLog stores a binary log; storing it again replaces it.
func (c Catalog) StoreLog(ctx context.Context, l Log, key Key, fill func(io.Writer) error) error {
	if err := CheckName(l.name()); err != nil {
		return err
	}
	if _, err := c.stream(ctx, c.at("log", l.name()), key, fill); err != nil {
		return fmt.Errorf("storing binary log %s of %s: %w", l.File, l.Server, err)
	}
	return nil
}

// OpenLog opens a binary log.
func (c Catalog) OpenLog(ctx context.Context, l Log, key Key) (io.ReadCloser, error) {
	return c.open(ctx, c.at("log", l.name()), key, "")
}

// Logs returns the binary logs whose last transaction is not before since, by their first.
func (c Catalog) Logs(ctx context.Context, since time.Time) ([]Log, error) {
	objects, err := c.Target.List(ctx, c.at("log")+"/")
	if err != nil {
		return nil, err
	}
	var logs []Log
	for _, o := range objects {
		l, err := parseLog(strings.TrimPrefix(o.Name, c.at("log")+"/"))
		if err != nil {
			return nil, err
		}
		if l.Size = o.Size; !l.Last.Before(since.Truncate(time.Millisecond)) {
			logs = append(logs, l)
		}
	}
	slices.SortStableFunc(logs, func(a, b Log) int { return cmp.Or(a.First.Compare(b.First), a.Last.Compare(b.Last)) })
	return logs, nil
}
