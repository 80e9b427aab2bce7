package dbserver

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"
)

// Open finds out which server listens at the socket. It connects as root, where being root is the password.
func Open(ctx context.Context, socket string) (Server, error) {
	db, err := connect(socket)
	if err != nil {
		return nil, err
	}
	s, err := identify(ctx, db, socket)
	if err != nil {
		db.Close()
		return nil, err
	}
	return s, nil
}

// connect prepares connections; it makes none yet. Three are kept, so that a server that is full of clients can still be
// asked, and one more is there for a statement that hangs.
func connect(socket string) (*sql.DB, error) {
	c := driver.NewConfig()
	c.User = "root"
	c.Net = "unix"
	c.Addr = socket
	c.InterpolateParams = true // statements about users and sources take no placeholders
	c.Timeout = 2 * time.Second
	c.Logger = &driver.NopLogger{}
	connector, err := driver.NewConnector(c)
	if err != nil {
		return nil, fmt.Errorf("preparing to reach the server at %s: %w", socket, err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(6)
	db.SetMaxIdleConns(3)
	return db, nil
}

func identify(ctx context.Context, db *sql.DB, socket string) (Server, error) {
	var version string
	if err := db.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
		return nil, fmt.Errorf("asking the server for its version: %w", err)
	}
	b := base{db: db, version: version, socket: socket}
	if strings.Contains(strings.ToLower(version), "mariadb") {
		return &mariaDB{b}, nil
	}
	return &mySQL{b}, nil
}

// base is what is the same for both.
type base struct {
	db      *sql.DB
	version string
	socket  string
}

func (b base) Version() string { return b.version }
func (b base) Close() error    { return b.db.Close() }

func (b base) Ping(ctx context.Context) error {
	var one int
	if err := b.db.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
		return fmt.Errorf("asking the server: %w", err)
	}
	return nil
}

// run executes statements in turn; what is said in the error of the one that fails.
func (b base) run(ctx context.Context, what string, statements ...string) error {
	for _, s := range statements {
		if err := b.exec(ctx, what, s); err != nil {
			return err
		}
	}
	return nil
}

func (b base) exec(ctx context.Context, what, statement string, args ...any) error {
	if _, err := b.db.ExecContext(ctx, statement, args...); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// rows are a result's rows by lower-case column name; NULL is missing.
func (b base) rows(ctx context.Context, what, query string) ([]map[string]string, error) {
	r, err := b.db.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	defer r.Close()
	names, err := r.Columns()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	var all []map[string]string
	for r.Next() {
		values := make([]sql.NullString, len(names))
		into := make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := r.Scan(into...); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		row := make(map[string]string, len(names))
		for i, v := range values {
			if v.Valid {
				row[strings.ToLower(names[i])] = v.String
			}
		}
		all = append(all, row)
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return all, nil
}

// one is the first row, empty if there is none.
func (b base) one(ctx context.Context, what, query string) (map[string]string, error) { //nolint:unparam // as its siblings
	all, err := b.rows(ctx, what, query)
	if err != nil || len(all) == 0 {
		return map[string]string{}, err
	}
	return all[0], nil
}

// names are the rows of SHOW STATUS, by name.
func (b base) names(ctx context.Context, what, query string) (map[string]string, error) {
	all, err := b.rows(ctx, what, query)
	if err != nil {
		return nil, err
	}
	m := make(map[string]string, len(all))
	for _, r := range all {
		m[strings.ToLower(r["variable_name"])] = r["value"]
	}
	return m, nil
}

// wait asks done until it says so. The pause is short against a drain, long against a look.
func wait(ctx context.Context, done func() (bool, error)) error {
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func on(v string) bool {
	switch strings.ToUpper(v) {
	case "1", "ON", "YES":
		return true
	}
	return false
}

func quoteName(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }
