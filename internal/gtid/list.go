package gtid

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// list is MariaDB's: the last transaction of each domain. Within a domain, sequence numbers only grow (gtid_strict_mode),
// so the last one stands for all before it.
type list map[uint64]last

type last struct {
	server uint64
	seq    uint64
}

// parseList reads "0-11-1234,1-12-5", in any order and with blanks or line breaks, as SHOW commands fold long ones.
func parseList(text string) (Position, error) {
	l := list{}
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		fields := strings.Split(part, "-")
		if len(fields) != 3 {
			return nil, malformed(text, "%q is not domain-server-sequence", part)
		}
		var n [3]uint64
		for i, f := range fields {
			v, err := strconv.ParseUint(f, 10, 64)
			if err != nil {
				return nil, malformed(text, "%q is no number", f)
			}
			n[i] = v
		}
		// gtid_binlog_state lists several servers of a domain: the latest counts.
		if was, ok := l[n[0]]; !ok || n[2] > was.seq {
			l[n[0]] = last{n[1], n[2]}
		}
	}
	return l, nil
}

func (l list) covers(other Position) bool {
	for domain, want := range other.(list) { //nolint:forcetypeassert // Compare and the others refuse positions of two flavors before
		have, ok := l[domain]
		// One number given by two servers is two transactions.
		if !ok && want.seq > 0 || have.seq < want.seq || have.seq == want.seq && want.seq > 0 && have.server != want.server {
			return false
		}
	}
	return true
}

func (l list) missing(other Position) int64 {
	n := int64(0)
	for domain, want := range other.(list) { //nolint:forcetypeassert // Compare and the others refuse positions of two flavors before
		have := l[domain]
		switch {
		case have.seq < want.seq:
			n += int64(want.seq - have.seq)
		case have.seq == want.seq && want.seq > 0 && have.server != want.server:
			n++
		}
	}
	return n
}

func (l list) merged(other Position) Position {
	m := maps.Clone(l)
	for domain, theirs := range other.(list) { //nolint:forcetypeassert // Compare and the others refuse positions of two flavors before
		if ours, ok := m[domain]; !ok || theirs.seq > ours.seq {
			m[domain] = theirs
		}
	}
	return m
}

func (l list) String() string {
	parts := make([]string, 0, len(l))
	for _, domain := range slices.SortedFunc(maps.Keys(l), cmp.Compare) {
		parts = append(parts, fmt.Sprintf("%d-%d-%d", domain, l[domain].server, l[domain].seq))
	}
	return strings.Join(parts, ",")
}
