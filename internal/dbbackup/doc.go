// Package dbbackup takes and restores backups of a MariaDB server on the machine that it runs on: full ones by mariabackup, its
// binary logs as they close, and both put together again up to a moment or a transaction.
//
// It is given programs to run, a socket and folders, and a backup.Catalog to store in; it knows nothing of farms. Taker is the
// running server's side, Restorer the other.
package dbbackup
