package sqlproxy

import (
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// mirrored are the variables whose values are carried to every server that the session goes on with. What is not here
// keeps the session's reads on the primary.
var mirrored = func(name string) bool {
	switch name {
	case "names", "charset", "character set", "character_set_client", "character_set_connection", "character_set_results", "collation_connection",
		"sql_mode", "time_zone", "lc_time_names", "group_concat_max_len", "sql_select_limit", "sql_big_selects", "max_join_size",
		"max_statement_time", "max_execution_time", "wait_timeout", "interactive_timeout", "net_read_timeout", "net_write_timeout",
		"lock_wait_timeout", "innodb_lock_wait_timeout", "foreign_key_checks", "unique_checks", "sql_safe_updates", "sql_notes",
		"sql_warnings", "sql_quote_show_create", "sql_auto_is_null", "optimizer_switch", "join_buffer_size", "sort_buffer_size",
		"tmp_table_size", "max_heap_table_size", "div_precision_increment", "default_storage_engine", "transaction_isolation",
		"tx_isolation", "auto_increment_increment", "auto_increment_offset":
		return true
	}
	return false
}

// classifySet judges a SET statement by what it sets, and to what.
func classifySet(sql, fingerprint string) (k class) {
	unknown := notUnderstood("a SET statement that is not understood")
	if ts := tokens(fingerprint); len(ts) > 1 {
		switch ts[1].text {
		case "TRANSACTION": // of the next one alone, which may be the next statement
			return notUnderstood("SET TRANSACTION")
		case "SESSION", "LOCAL":
			if len(ts) > 5 && ts[2].text == "TRANSACTION" && ts[3].text == "ISOLATION" {
				return class{part: true, mirror: true}
			}
		}
	}
	defer func() {
		if recover() != nil {
			k = unknown
		}
	}()
	statement, err := sqlparser.Parse(sql)
	set, ok := statement.(*sqlparser.Set)
	if err != nil || !ok {
		return unknown
	}
	// Of other variables only the mode itself may stand in a value: it is the same wherever the session goes on.
	rest := strings.ToLower(fingerprint)
	for _, mode := range []string{"@@session.", "@@local.", "@@"} {
		for name := range sessionNames(set) {
			rest = strings.ReplaceAll(rest, mode+name, "")
		}
		rest = strings.ReplaceAll(rest, mode+"sql_mode", "")
	}
	if strings.Contains(rest, "@") || !pureCalls(tokens(rest)) {
		return notUnderstood("a variable of its own")
	}
	k = class{part: true}
	for _, e := range set.Exprs {
		if e.Scope == sqlparser.SetScope_Global || e.Scope == sqlparser.SetScope_Persist || e.Scope == sqlparser.SetScope_PersistOnly {
			continue
		}
		name := variable(e)
		switch {
		case name == "autocommit":
			k.part = false // it commits; the server's status tells how it stands
		case !mirrored(name):
			return notUnderstood("the session's " + name)
		default:
			k.mirror = true
			k.pin = either(k.pin, pinning(name, strings.ToLower(sqlparser.String(e.Expr))))
		}
	}
	return k
}

// pureCalls tells whether every call among the tokens is of a pure function.
func pureCalls(ts []token) bool {
	for i, t := range ts {
		if i+1 < len(ts) && ts[i+1].text == "(" && (t.quoted || t.word()) && !takesParenthesis(t.text) || t.text == "SELECT" {
			return false
		}
	}
	return true
}

// sessionNames are the variables that a statement sets.
func sessionNames(set *sqlparser.Set) map[string]bool {
	names := map[string]bool{}
	for _, e := range set.Exprs {
		if n := variable(e); n != "" && !strings.Contains(n, "@") {
			names[n] = true
		}
	}
	return names
}

func variable(e *sqlparser.SetVarExpr) string {
	n := strings.ToLower(e.Name.Name.String())
	for _, p := range []string{"@@session.", "@@local.", "@@"} {
		n = strings.TrimPrefix(n, p)
	}
	return n
}

// pinning is why a value keeps the session's reads on the primary: the proxy could not read its statements any more.
func pinning(name, value string) string {
	switch name {
	case "sql_mode":
		for _, mode := range []string{"ansi", "oracle", "mssql", "postgresql", "db2", "maxdb", "no_backslash"} {
			if strings.Contains(value, mode) {
				return "sql_mode " + mode
			}
		}
		if value != "" && value[0] >= '0' && value[0] <= '9' {
			return "sql_mode as a number"
		}
	case "names", "charset", "character set", "character_set_client":
		value = strings.Trim(value, "'\"`")
		value, _, _ = strings.Cut(value, " ")
		if !plainCharset(strings.Trim(value, "'\"`")) {
			return "the character set " + value
		}
	}
	return ""
}

// plainCharset: no character holds a byte that is an ASCII quote or backslash.
func plainCharset(name string) bool {
	switch name {
	case "utf8", "utf8mb3", "utf8mb4", "latin1", "ascii", "binary", "default":
		return true
	}
	return false
}

// plainCollation is plainCharset for the number of a collation in a handshake: MariaDB's and MySQL's of utf8, utf8mb4,
// latin1, ascii and binary.
func plainCollation(id byte) bool {
	switch {
	case id == 5, id == 8, id == 11, id == 15, id == 31, id == 33, id == 45, id == 46, id >= 47 && id <= 49, id == 63, id == 65, id == 76, id == 83, id == 94:
		return true
	case id >= 192 && id <= 215, id >= 224: // utf8_*, utf8mb4_*
		return true
	}
	return false
}
