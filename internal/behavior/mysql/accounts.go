package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	driver "github.com/go-sql-driver/mysql"
)

// account is what the application is given.
type account struct {
	database, user, password string
}

// open prepares connections as root over the socket, where being root is the password; it connects to nothing yet.
// One connection is kept for the check, so that a server that is full of clients can still be asked.
func open(socket string) (*sql.DB, error) {
	c := driver.NewConfig()
	c.User = "root"
	c.Net = "unix"
	c.Addr = socket
	c.InterpolateParams = true // CREATE USER takes no placeholders
	c.Logger = &driver.NopLogger{}
	connector, err := driver.NewConnector(c)
	if err != nil {
		return nil, fmt.Errorf("preparing to reach the server at %s: %w", socket, err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(2)
	db.SetMaxIdleConns(1)
	return db, nil
}

// ensure makes the application's database and user or brings them up to date. It may be repeated at will.
func ensure(ctx context.Context, db *sql.DB, a account) error {
	name := "`" + strings.ReplaceAll(a.database, "`", "``") + "`"
	// In a grant an underscore stands for any character: app_1 would open appx1 too.
	granted := strings.ReplaceAll(name, "_", `\_`)
	for _, s := range []struct {
		what, query string
		args        []any
	}{
		{"making the database " + a.database, "CREATE DATABASE IF NOT EXISTS " + name, nil},
		{"making the user " + a.user, "CREATE USER IF NOT EXISTS ?@'%' IDENTIFIED BY ?", []any{a.user, a.password}},
		{"setting the password of " + a.user, "ALTER USER ?@'%' IDENTIFIED BY ?", []any{a.user, a.password}},
		{"granting the database to " + a.user, "GRANT ALL PRIVILEGES ON " + granted + ".* TO ?@'%'", []any{a.user}},
		// Debian's may have nameless users, and one for a host goes before ours for any host.
		{"removing nameless users", "DROP USER IF EXISTS ''@'localhost', ''@'%'", nil},
	} {
		if _, err := db.ExecContext(ctx, s.query, s.args...); err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
	}
	return nil
}

// ping is the check: a statement goes all the way through.
func ping(ctx context.Context, db *sql.DB) error {
	var one int
	if err := db.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
		return fmt.Errorf("asking the server: %w", err)
	}
	return nil
}
