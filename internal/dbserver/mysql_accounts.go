package dbserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	driver "github.com/go-sql-driver/mysql"
)

// Ensure implements Server. A server that is read-only is so for administrators too, who write all the same for the time of this.
func (m *mySQL) Ensure(ctx context.Context, a Accounts) (err error) {
	var super bool
	if err := m.db.QueryRowContext(ctx, "SELECT @@global.super_read_only").Scan(&super); err != nil {
		return fmt.Errorf("asking whether the server is read-only: %w", err)
	}
	made := func(user, password string) (bool, error) { return m.opens(ctx, user, password) }
	if !super {
		return m.ensure(ctx, a, made)
	}
	// read_only stays, which holds for everybody else.
	if err := m.run(ctx, "letting an administrator write", "SET GLOBAL super_read_only = OFF"); err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		err = errors.Join(err, m.MakeReadOnly(ctx))
	}()
	return m.ensure(ctx, a, made)
}

// opens tells whether the user may come in with the password. Passwords are salted: that they are in force cannot be seen.
func (m *mySQL) opens(ctx context.Context, user, password string) (bool, error) {
	c := driver.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr = user, password, "unix", m.socket
	c.Timeout, c.Logger = 2*time.Second, &driver.NopLogger{}
	connector, err := driver.NewConnector(c)
	if err != nil {
		return false, fmt.Errorf("looking for the user %s: %w", user, err)
	}
	conn, err := connector.Connect(ctx)
	if err == nil {
		return true, conn.Close()
	}
	const denied = 1045
	if refused := (*driver.MySQLError)(nil); errors.As(err, &refused) && refused.Number == denied {
		return false, nil
	}
	return false, fmt.Errorf("looking for the user %s: %w", user, err)
}
