package sqlproxy

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// position is what was written through the proxy, by GTID: what a replica must have before it is read from.
type position struct {
	version int64 // grows with every write
	known   bool  // false: it is to be asked of the primary
	text    string
}

// positions is the newest position. Safe for concurrent use.
type positions struct {
	now  atomic.Pointer[position]
	mu   sync.Mutex
	last map[string]gtid // newest of each domain (MariaDB) or server (MySQL)
}

type gtid struct {
	text string
	seq  uint64
}

func newPositions() *positions {
	p := &positions{}
	p.forget()
	return p
}

func (p *positions) get() *position { return p.now.Load() }

// forget is for a new primary: what it has is everything, and it may lack what the one before had.
func (p *positions) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = map[string]gtid{}
	var version int64
	if now := p.now.Load(); now != nil {
		version = now.version
	}
	p.now.Store(&position{version: version + 1})
}

// add takes over GTIDs, as a server tells them: of one transaction, or its whole position, which makes it known. Those that
// are not understood make it unknown.
func (p *positions) add(gtids string, whole bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now.Load()
	changed := whole && !now.known
	for _, one := range splitGTIDs(gtids) {
		domain, g, ok := parseGTID(one)
		if !ok {
			continue
		}
		if g.seq > p.last[domain].seq || p.last[domain].text == "" {
			p.last[domain] = g
			changed = true
		}
	}
	if !changed {
		return
	}
	texts := make([]string, 0, len(p.last))
	for _, domain := range slices.Sorted(maps.Keys(p.last)) {
		texts = append(texts, p.last[domain].text)
	}
	p.now.Store(&position{version: now.version + 1, known: now.known || whole, text: strings.Join(texts, ",")})
}

func splitGTIDs(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == '\n' || r == ' ' })
}

// parseGTID reads MariaDB's domain-server-sequence, or MySQL's uuid[:tag]:first-last[:first-last...]; of the latter it makes
// everything up to the last, which is what a replica will have that has the last.
func parseGTID(s string) (domain string, g gtid, ok bool) {
	if strings.ContainsRune(s, ':') {
		at := strings.LastIndexByte(s, ':')
		last := s[at+1:]
		if i := strings.LastIndexByte(last, '-'); i >= 0 {
			last = last[i+1:]
		}
		seq, err := strconv.ParseUint(last, 10, 64)
		if err != nil {
			return "", g, false
		}
		domain, _, _ = strings.Cut(s[:at], ":")
		if rest := s[len(domain)+1:]; rest != "" && (rest[0] < '0' || rest[0] > '9') { // a tag
			tag, _, _ := strings.Cut(rest, ":")
			domain += ":" + tag
		}
		return domain, gtid{domain + ":1-" + strconv.FormatUint(seq, 10), seq}, true
	}
	domain, rest, _ := strings.Cut(s, "-")
	_, last, _ := strings.Cut(rest, "-")
	seq, err := strconv.ParseUint(last, 10, 64)
	if err != nil || domain == "" {
		return "", g, false
	}
	return domain, gtid{s, seq}, true
}
