package sqlproxy

// scanned is what one pass over a statement tells.
type scanned struct {
	// fingerprint is the statement without its literals and comments, white space made one blank, lists of literals made
	// one: what statements of one kind have in common.
	fingerprint []byte
	several     bool // statements, with semicolons between
	// opaque: it holds what only the server can read: a comment that is executed, a hint, a quote that does not end.
	opaque bool
}

// scan makes a fingerprint in out's memory. It assumes that backslashes escape and that no byte of a character is an
// ASCII one; sessions of which that is not true are not split.
func scan(sql, out []byte) scanned {
	s := scanned{fingerprint: out[:0]}
	ended := false // after a semicolon
	for i := 0; i < len(sql); {
		c := sql[i]
		if isSpace(c) {
			s.blank()
			i++
			continue
		}
		if skipped, n := comment(sql[i:]); n != 0 {
			if n < 0 {
				s.opaque = true
				return s
			}
			if !skipped {
				s.opaque = true
			}
			s.blank()
			i += n
			continue
		}
		if c == ';' {
			ended = true
			i++
			continue
		}
		if ended {
			s.several = true
			s.fingerprint = append(s.fingerprint, ';')
			ended = false
		}
		switch {
		case c == '\'' || c == '"':
			n := quoted(sql[i:], true)
			if n < 0 {
				s.opaque = true
				return s
			}
			i += n
			s.literal()
		case c == '`':
			n := quoted(sql[i:], false)
			if n < 0 {
				s.opaque = true
				return s
			}
			s.fingerprint = append(s.fingerprint, sql[i:i+n]...)
			i += n
		case c >= '0' && c <= '9':
			for i++; i < len(sql) && (isWord(sql[i]) || sql[i] == '.'); i++ {
			}
			s.literal()
		case isWord(c):
			start := i
			for i++; i < len(sql) && isWord(sql[i]); i++ {
			}
			s.fingerprint = append(s.fingerprint, sql[start:i]...)
		default:
			s.fingerprint = append(s.fingerprint, c)
			i++
		}
	}
	if n := len(s.fingerprint); n > 0 && s.fingerprint[n-1] == ' ' {
		s.fingerprint = s.fingerprint[:n-1]
	}
	return s
}

func (s *scanned) blank() {
	if n := len(s.fingerprint); n > 0 && s.fingerprint[n-1] != ' ' {
		s.fingerprint = append(s.fingerprint, ' ')
	}
}

// literal adds a ?, or nothing after "?, ": IN lists of any length are one.
func (s *scanned) literal() {
	f := s.fingerprint
	n := len(f)
	for n > 0 && f[n-1] == ' ' {
		n--
	}
	if n > 0 && f[n-1] == ',' {
		n--
		for n > 0 && f[n-1] == ' ' {
			n--
		}
		if n > 0 && f[n-1] == '?' {
			s.fingerprint = f[:n]
			return
		}
	}
	s.fingerprint = append(f, '?')
}

// comment measures a comment at the beginning of b: 0 for none there, -1 for one that does not end. Some that look like
// comments are for the server; those are not to be skipped.
func comment(b []byte) (skip bool, n int) {
	switch {
	case b[0] == '#', len(b) >= 2 && b[0] == '-' && b[1] == '-' && (len(b) == 2 || b[2] <= ' '):
		for n = 1; n < len(b) && b[n] != '\n'; n++ {
		}
		return true, n
	case len(b) >= 2 && b[0] == '/' && b[1] == '*':
		skip = len(b) < 3 || b[2] != '!' && b[2] != '+' && b[2] != 'M'
		for n = 2; n+1 < len(b); n++ {
			if b[n] == '*' && b[n+1] == '/' {
				return skip, n + 2
			}
		}
		return false, -1
	}
	return false, 0
}

// quoted measures a quoted text at the beginning of b, -1 for one that does not end. A doubled quote is read as the end of
// one text and the beginning of another, which is the same to who leaves both out.
func quoted(b []byte, escapes bool) int {
	for i := 1; i < len(b); i++ {
		switch {
		case b[i] == b[0]:
			return i + 1
		case b[i] == '\\' && escapes:
			i++
		}
	}
	return -1
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= '0' && c <= '9' || c == '$' || c >= 0x80
}

// token is a part of a fingerprint: a word, a quoted name, a ?, or one other byte. Words of text are in capitals.
type token struct {
	text   string
	quoted bool
}

func (t token) word() bool { return !t.quoted && isWord(t.text[0]) }

// tokens takes a fingerprint apart.
func tokens(fingerprint string) []token {
	var all []token
	for i := 0; i < len(fingerprint); {
		start := i
		switch c := fingerprint[i]; {
		case c == ' ':
			i++
			continue
		case c == '`':
			i += quoted([]byte(fingerprint[i:]), false)
			all = append(all, token{upper(fingerprint[start+1 : i-1]), true})
			continue
		case isWord(c):
			for i++; i < len(fingerprint) && isWord(fingerprint[i]); i++ {
			}
		default:
			i++
		}
		all = append(all, token{text: upper(fingerprint[start:i])})
	}
	return all
}

// upper is ASCII's capitals: names of other letters are nobody's keywords.
func upper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}
