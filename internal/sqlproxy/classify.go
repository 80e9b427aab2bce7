package sqlproxy

import (
	"strings"
	"sync"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// class is what a statement is to the proxy. The zero value is one for the primary that leaves no trace in the session.
type class struct {
	// read: a replica may answer it.
	read bool
	// follow: it asks about the statement before it, and goes where that went.
	follow bool
	// repeatable: to send it twice is to send it once, so that it may be sent again when the answer did not come.
	repeatable bool
	// part: of a transaction that is lost with its server it can have decided nothing.
	part bool
	// rollback: what it asks for happens when the server is lost.
	rollback bool
	// set: a SET statement; what it does depends on its values, see classifySet.
	set bool
	// pin is why the session's reads stay on the primary from here on, "" for no reason.
	pin string
	// root is why the session cannot go on at another primary from here on, "" for no reason.
	root string
	// mirror: it is to be sent to every server that the session goes on with.
	mirror bool
	// status: the proxy's own counters are asked for.
	status bool
}

// longest is the length of a statement beyond which it is not looked at: what is so long is data for the primary.
const longest = 256 << 10

// maxClasses bounds the cache; a few hundred bytes each.
const maxClasses = 4096

// classes remembers what statements were by their fingerprints. Safe for concurrent use.
type classes struct {
	mu sync.RWMutex
	by map[string]class
}

// of classifies a statement; scratch is memory for its fingerprint, and given back for the next one.
func (c *classes) of(sql, scratch []byte) (class, []byte) {
	if len(sql) > longest {
		return classifyLong(sql), scratch
	}
	s := scan(sql, scratch)
	if s.opaque {
		return classifyOpaque(sql), s.fingerprint
	}
	c.mu.RLock()
	k, ok := c.by[string(s.fingerprint)]
	c.mu.RUnlock()
	if !ok {
		k = classify(string(sql), string(s.fingerprint), s.several)
		c.mu.Lock()
		if c.by == nil || len(c.by) >= maxClasses {
			// All at once: an application of more kinds of statements than this makes them up, and none recurs.
			c.by = make(map[string]class)
		}
		c.by[string(s.fingerprint)] = k
		c.mu.Unlock()
	}
	if k.set {
		k = classifySet(string(sql), string(s.fingerprint))
	}
	return k, s.fingerprint
}

// notUnderstood is the class of what may have done anything to the session.
func notUnderstood(what string) class {
	return class{pin: what, root: what}
}

// classifyLong looks at the first word alone.
func classifyLong(sql []byte) class {
	switch firstWord(sql) {
	case "INSERT", "REPLACE", "UPDATE", "DELETE", "SELECT":
		return class{part: true}
	}
	return notUnderstood("a statement too long to be looked at")
}

// classifyOpaque: a hint or a server's comment in a query or a change is common and harmless on the primary.
func classifyOpaque(sql []byte) class {
	switch firstWord(sql) {
	case "INSERT", "REPLACE", "UPDATE", "DELETE", "SELECT":
		s := upper(string(sql))
		if !strings.Contains(s, "GET_LOCK") && !strings.Contains(s, "@") && !strings.Contains(s, ";") {
			return class{part: true}
		}
	case "CREATE", "ALTER":
		s := upper(string(sql))
		if !strings.Contains(s, "TEMPORARY") && !strings.Contains(s, ";") {
			return class{}
		}
	}
	return notUnderstood("a statement that only the server can read")
}

func firstWord(sql []byte) string {
	for i := 0; i < len(sql); {
		if isSpace(sql[i]) || sql[i] == '(' {
			i++
			continue
		}
		if skip, n := comment(sql[i:]); n > 0 && skip {
			i += n
			continue
		}
		j := i
		for j < len(sql) && isWord(sql[j]) && j-i < 16 {
			j++
		}
		return upper(string(sql[i:j]))
	}
	return ""
}

// classify judges a statement by its tokens and, where a replica might answer it, by the parser too: both must agree.
func classify(sql, fingerprint string, several bool) class {
	if several {
		return classifySeveral(fingerprint)
	}
	k := classifyTokens(tokens(fingerprint))
	if k.read && !parsesAsRead(sql) {
		k.read, k.repeatable = false, false
	}
	return k
}

// classifySeveral unites what the statements of one command do. None of it is read from a replica or sent twice.
func classifySeveral(fingerprint string) class {
	k := class{part: true}
	for _, one := range strings.Split(fingerprint, ";") { // quoted names with semicolons make nonsense, which is not understood
		if strings.TrimSpace(one) == "" {
			continue
		}
		if strings.Count(one, "`")%2 != 0 {
			return notUnderstood("several statements in one")
		}
		o := classifyTokens(tokens(one))
		if o.set {
			o = notUnderstood("SET among several statements in one")
		}
		k.part = k.part && o.part
		k.pin, k.root = either(k.pin, o.pin), either(k.root, o.root)
	}
	return k
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// parsesAsRead is the parser's word: a SELECT, or a union of some, that locks nothing and puts its result nowhere.
func parsesAsRead(sql string) (ok bool) {
	defer func() {
		if recover() != nil { // what it trips over it does not understand
			ok = false
		}
	}()
	statement, err := sqlparser.Parse(sql)
	if err != nil {
		return false
	}
	ok = true
	var look func(sqlparser.SelectStatement)
	look = func(s sqlparser.SelectStatement) {
		switch s := s.(type) {
		case *sqlparser.Select:
			ok = ok && s.Lock == "" && s.Into == nil
		case *sqlparser.SetOp:
			ok = ok && s.Lock == "" && s.Into == nil
			look(s.Left)
			look(s.Right)
		case *sqlparser.ParenSelect:
			look(s.Select)
		default:
			ok = false
		}
	}
	s, isSelect := statement.(sqlparser.SelectStatement)
	if !isSelect {
		return false
	}
	look(s)
	return ok
}

func classifyTokens(ts []token) class {
	at := 0
	for at < len(ts) && ts[at].text == "(" {
		at++
	}
	if at == len(ts) {
		return class{repeatable: true, part: true} // nothing: the server says so
	}
	second := ""
	if at+1 < len(ts) {
		second = ts[at+1].text
	}
	traces := traces(ts)
	switch ts[at].text {
	case "SELECT", "WITH":
		return classifySelect(ts, traces)
	case "INSERT", "REPLACE", "UPDATE", "DELETE":
		traces.part = true
		return traces
	case "SHOW":
		switch second {
		case "WARNINGS", "ERRORS", "COUNT":
			return class{follow: true, part: true}
		case "FARMHAND":
			return class{status: len(ts) == 3 && ts[2].text == "STATUS"}
		}
		return class{repeatable: true, part: true}
	case "EXPLAIN", "DESCRIBE", "DESC", "HELP", "CHECKSUM":
		return class{repeatable: second != "ANALYZE", part: true}
	case "ROLLBACK":
		if second == "TO" || len(ts) > 2 && ts[at+2].text == "TO" {
			return class{part: true}
		}
		return class{rollback: true}
	case "SAVEPOINT", "RELEASE":
		return class{part: true}
	case "BEGIN":
		if second != "" && second != "WORK" {
			return notUnderstood("a compound statement")
		}
		return class{}
	case "START", "COMMIT", "USE", "ALTER", "TRUNCATE", "RENAME", "GRANT", "REVOKE", "ANALYZE", "OPTIMIZE", "CHECK", "REPAIR", "KILL", "DROP", "LOAD", "UNLOCK":
		return traces
	case "CREATE":
		for _, t := range ts {
			if t.text == "TEMPORARY" {
				return notUnderstood("a temporary table")
			}
		}
		return traces
	case "FLUSH":
		for _, t := range ts {
			if t.text == "LOCK" || t.text == "EXPORT" {
				return notUnderstood("a lock on tables")
			}
		}
		return class{}
	case "SET":
		return class{set: true}
	case "LOCK":
		return notUnderstood("a lock on tables")
	}
	what := ts[at].text
	if len(what) > 32 {
		what = what[:32]
	}
	return notUnderstood("the statement " + what)
}

// traces are what a statement of any kind leaves in the session through its expressions.
func traces(ts []token) class {
	var k class
	into, variable := false, false
	for i, t := range ts {
		switch t.text {
		case "GET_LOCK":
			k.root = "a lock by name"
		case "INTO":
			into = true
		case "@":
			variable = variable || (i == 0 || ts[i-1].text != "@") && (i+1 == len(ts) || ts[i+1].text != "@")
		case "=":
			if i > 0 && ts[i-1].text == ":" {
				k.root = "a variable of its own"
			}
		}
	}
	if into && variable && ts[0].text != "INSERT" && ts[0].text != "REPLACE" {
		k.root = "a variable of its own"
	}
	return k
}

// classifySelect tells the plain reads from the rest.
func classifySelect(ts []token, k class) class {
	k.part = true
	plain, follows := true, false
	for i, t := range ts {
		next := ""
		if i+1 < len(ts) && !ts[i+1].quoted {
			next = ts[i+1].text
		}
		switch {
		case t.text == "@", impure(t), systemSchemas(t.text):
			plain = false
		case next != "(" || !t.quoted && !isWord(t.text[0]):
		case t.quoted || i > 0 && ts[i-1].text == ".":
			plain = false // a stored function
		case t.text == "FOUND_ROWS" || t.text == "ROW_COUNT":
			follows = true
		case !takesParenthesis(t.text):
			plain = false
		}
	}
	switch {
	case plain && follows:
		k.follow = true
	case plain:
		k.read, k.repeatable = true, true
	case asksWarnings(ts):
		k.follow = true
	}
	return k
}

// asksWarnings is SELECT @@warning_count and SELECT @@error_count.
func asksWarnings(ts []token) bool {
	return len(ts) == 4 && ts[1].text == "@" && ts[2].text == "@" && (ts[3].text == "WARNING_COUNT" || ts[3].text == "ERROR_COUNT")
}

// impure are words that make more of a SELECT than a read, wherever they stand. A column of such a name costs a replica
// one statement, and nothing else.
func impure(t token) bool {
	if t.quoted {
		return false
	}
	switch t.text {
	case "INTO", "UPDATE", "SHARE", "LOCK", "PROCEDURE", "NEXT", "PREVIOUS", "NEXTVAL", "CURRVAL", "LASTVAL", "SETVAL",
		"DELETE", "SKIP", "NOWAIT":
		return true
	}
	return false
}

// systemSchemas hold what is the server's own: its sessions, its variables, its users.
func systemSchemas(name string) bool {
	switch name {
	case "INFORMATION_SCHEMA", "PERFORMANCE_SCHEMA", "MYSQL", "SYS":
		return true
	}
	return false
}
