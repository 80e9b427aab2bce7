package gtid

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// set is MySQL's: of each server (and tag, as "uuid:tag") which transactions.
type set map[string][]interval

// interval is from first to last, both in it. Those of a set are sorted, and do not touch.
type interval struct{ first, last uint64 }

func looksLikeSet(text string) bool { return strings.Contains(text, ":") }

const uuidLength = 36

// parseSet reads "uuid:1-5:7,uuid:tag:1-3" in any order, with blanks or line breaks.
func parseSet(text string) (Position, error) {
	s := set{}
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		fields := strings.Split(part, ":")
		uuid := strings.ToLower(strings.TrimSpace(fields[0]))
		if len(uuid) != uuidLength || strings.Trim(uuid, "0123456789abcdef-") != "" {
			return nil, malformed(text, "%q is no server's UUID", fields[0])
		}
		if len(fields) < 2 {
			return nil, malformed(text, "%q has no transactions", part)
		}
		source := uuid
		for _, f := range fields[1:] {
			f = strings.ToLower(strings.TrimSpace(f))
			if f != "" && (f[0] == '_' || f[0] >= 'a' && f[0] <= 'z') {
				source = uuid + ":" + f
				continue
			}
			i, err := parseInterval(f)
			if err != nil {
				return nil, malformed(text, "%v", err)
			}
			s[source] = append(s[source], i)
		}
	}
	for source := range s {
		s[source] = tidy(s[source])
	}
	return s, nil
}

func parseInterval(text string) (interval, error) {
	from, to, ranged := strings.Cut(text, "-")
	first, err := strconv.ParseUint(from, 10, 63)
	if err != nil || first == 0 {
		return interval{}, fmt.Errorf("%q is no transaction's number", from)
	}
	last := first
	if ranged {
		if last, err = strconv.ParseUint(to, 10, 63); err != nil || last < first {
			return interval{}, fmt.Errorf("%q is no interval", text)
		}
	}
	return interval{first, last}, nil
}

// tidy sorts and joins those that touch.
func tidy(all []interval) []interval {
	slices.SortFunc(all, func(a, b interval) int { return cmp.Compare(a.first, b.first) })
	joined := all[:0]
	for _, i := range all {
		if n := len(joined); n > 0 && i.first <= joined[n-1].last+1 {
			joined[n-1].last = max(joined[n-1].last, i.last)
			continue
		}
		joined = append(joined, i)
	}
	return joined
}

func (s set) covers(other Position) bool { return s.missing(other) == 0 }

func (s set) missing(other Position) int64 {
	n := int64(0)
	for source, wants := range other.(set) { //nolint:forcetypeassert // Compare and the others refuse positions of two flavors before
		for _, want := range wants {
			n += int64(want.last - want.first + 1)
			for _, have := range s[source] {
				if first, last := max(want.first, have.first), min(want.last, have.last); first <= last {
					n -= int64(last - first + 1)
				}
			}
		}
	}
	return n
}

func (s set) merged(other Position) Position {
	m := set{}
	for _, of := range []set{s, other.(set)} { //nolint:forcetypeassert // Compare and the others refuse positions of two flavors before
		for source, intervals := range of {
			m[source] = append(m[source], intervals...)
		}
	}
	for source := range m {
		m[source] = tidy(m[source])
	}
	return m
}

func (s set) String() string {
	parts := make([]string, 0, len(s))
	for _, source := range slices.Sorted(maps.Keys(s)) {
		var b strings.Builder
		b.WriteString(source)
		for _, i := range s[source] {
			if i.first == i.last {
				fmt.Fprintf(&b, ":%d", i.first)
			} else {
				fmt.Fprintf(&b, ":%d-%d", i.first, i.last)
			}
		}
		parts = append(parts, b.String())
	}
	return strings.Join(parts, ",")
}
