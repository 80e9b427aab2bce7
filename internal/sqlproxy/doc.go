// Package sqlproxy lets applications that know one database address use a primary and its replicas: a proxy for the
// MySQL protocol on the application's own server. Start at Proxy, then session.go, classify.go and primary.go.
//
// It forwards packets; the parser of dolthub/vitess only judges statements, once per kind of statement. Clients log in
// with the application's user and password (mysql_native_password), and the proxy logs in to the servers with the same
// (mysql_native_password or caching_sha2_password).
//
// # What goes where
//
//	statement                                                   goes to    because
//	plain SELECT, UNION, WITH, outside a transaction            a replica
//	... with functions not known as pure (functions.go)         primary    stored functions, locks, sequences, the connection's own
//	... with variables (@a, @@b), INTO, FOR UPDATE, LOCK IN     primary
//	... of information_schema, performance_schema, mysql, sys   primary    they tell of the server itself
//	... with server's comments (/*! */), hints (/*+ */)         primary    only the server can read them
//	SHOW WARNINGS, SHOW ERRORS, FOUND_ROWS(), ROW_COUNT()       the last   they ask about the statement before
//	anything within a transaction, or with autocommit=0         primary    by the server's own status, not by the text
//	prepared statements (COM_STMT_*), several in one, CALL      primary
//	INSERT, UPDATE, DELETE, DDL, SHOW, EXPLAIN, LOAD DATA       primary
//	SET of names, sql_mode, time_zone ... (set.go)              primary    and again on every server the session goes on with
//	USE                                                         primary    the same
//	anything not understood                                     primary
//
// From some statements on all reads of the session stay on the primary (it is pinned): after temporary tables, LOCK
// TABLES, CALL, PREPARE, XA, user variables, a variable that is not mirrored, a character set or sql_mode in which a
// statement cannot be read byte by byte, and whatever is not understood. COM_RESET_CONNECTION and COM_CHANGE_USER end that.
// Replicas' sessions are read-only: what was taken for a read and writes is refused there and goes to the primary.
// A view that calls functions is not looked into.
//
// # Reading one's own writes
//
// Servers tell the GTID of each commit. The proxy keeps the newest of all its clients, so that an application with a
// connection per request reads what it wrote. A replica answers when it is known to have that position, or has it within
// Config.Wait; else the primary does. After a start and after a change of the primary the position is the primary's own.
// Writes made elsewhere are seen when replication brings them.
//
// # When a server is lost
//
//	a read, or SHOW, unanswered                      sent again, elsewhere
//	any statement not sent, or refused as read-only  waits up to Config.Hold for a primary
//	a statement in a transaction                     1213 (40001): do the transaction again
//	ROLLBACK of it                                   OK
//	a write, COMMIT or CALL, sent and unanswered     1927: whether it took effect is not known. Never sent again
//	an answer of which a part was passed on          1927 in its place
//
// A session between statements moves without notice: database, settings, autocommit, LAST_INSERT_ID and prepared statements
// go with it. One with temporary tables, locks, user variables or the like cannot, and is ended with 1927.
//
// # What it refuses
//
// TLS and compression from clients, replication commands, other users than the application's. KILL goes to the primary with
// the primary's numbers (CONNECTION_ID()); the number in the greeting is the proxy's and ends nothing.
package sqlproxy
