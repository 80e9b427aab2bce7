package source

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/go-sql-driver/mysql"
)

// askSQL asks for one row of one column, in a transaction that can change nothing.
func askSQL(ctx context.Context, q Question) (float64, error) {
	m, at := q.Metric.SQL, q.Database
	if m.Role == "" {
		at = Database{Address: m.Host, User: m.User, Password: q.Secret, Name: m.Database}
	}
	if _, _, err := net.SplitHostPort(at.Address); err != nil {
		at.Address = net.JoinHostPort(at.Address, "3306")
	}
	config := mysql.NewConfig()
	config.Net, config.Addr = "tcp", at.Address
	config.User, config.Passwd, config.DBName = at.User, at.Password, at.Name
	config.TLSConfig = "preferred"
	config.Timeout = 5 * time.Second
	config.Logger = &mysql.NopLogger{} // what it would log comes back as an error
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return 0, fmt.Errorf("asking the database at %s: %w", at.Address, err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	v, err := oneNumber(ctx, db, m.Query)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return 0, fmt.Errorf("asking the database at %s: %w", at.Address, err)
	}
	return v, nil
}

func oneNumber(ctx context.Context, db *sql.DB, query string) (float64, error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }() // nothing was changed
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return 0, err
	}
	if len(columns) != 1 {
		return 0, fmt.Errorf("the query gives %d columns, and one value is needed", len(columns))
	}
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return 0, err
		}
		return 0, errors.New("the query gives no row")
	}
	var text sql.NullString
	if err := rows.Scan(&text); err != nil {
		return 0, err
	}
	if rows.Next() {
		return 0, errors.New("the query gives several rows, and one value is needed")
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	if !text.Valid {
		return 0, errors.New("the query gives NULL; COALESCE(..., 0) makes a number of it")
	}
	return number(text.String)
}
