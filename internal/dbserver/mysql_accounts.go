package dbserver

import (
	"context"
	"crypto/tls"
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
	made := func(user, password, requires string) (bool, error) {
		return m.opens(ctx, user, password, requires, a.ReplicaTLS)
	}
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

// opens tells whether the user may come in with the password, and must come as requires says. Passwords are salted: that they are in force
// cannot be seen. Who has to show a certificate shows the server's own.
func (m *mySQL) opens(ctx context.Context, user, password, requires string, own TLS) (bool, error) {
	c := driver.NewConfig()
	if requires != "" {
		var n int
		err := m.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM mysql.user WHERE User = ? AND Host = '%' AND ssl_type = IF(? = 'NONE', '', ?)", user, requires, requires).Scan(&n)
		if err != nil || n == 0 {
			return false, err
		}
	}
	if requires == "X509" {
		pair, err := tls.LoadX509KeyPair(own.Certificate, own.Certificate)
		if err != nil {
			return false, fmt.Errorf("reading the server's certificate: %w", err)
		}
		// Nobody else is at the other end of a local socket.
		c.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true} //nolint:gosec // as said
	}
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
