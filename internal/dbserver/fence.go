package dbserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"
)

// dialect is how a server is made read-only and rid of its clients.
type dialect struct {
	readOnly string // the statement
	kill     string // what cuts a connection off, its id to follow
}

// becomeReadOnly is MakeReadOnly.
func (b base) becomeReadOnly(ctx context.Context, d dialect) error {
	c, err := b.beginChange(ctx, d.readOnly)
	if err != nil {
		return err
	}
	defer c.end(ctx)
	err = <-c.done
	c.took = err == nil
	return err
}

// fence is Server's Fence. Who is cut off before the change waits may be back and writing while others are cut off, and whoever waits for
// an acknowledgement waits for others too, whose commits went to the binary log with its own: they are told that theirs succeeded when it
// is cut off first. So nobody is, until nobody begins to write any more, and who waits is cut off last. release, where it is not nil,
// then lets those end that wait although they have been cut off.
func (b base) fence(ctx context.Context, d dialect, release func(context.Context) error) error {
	c, err := b.beginChange(ctx, d.readOnly)
	if err != nil {
		return err
	}
	defer c.end(ctx)
	for {
		if err := b.cutWriters(ctx, d, c.id, release); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case err := <-c.done:
			if c.took = err == nil; c.took {
				_, err = b.end(ctx, d)
			}
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// cutWriters cuts all sessions off if the change in connection id waits.
func (b base) cutWriters(ctx context.Context, d dialect, id string, release func(context.Context) error) error {
	all, err := b.connections(ctx)
	if err != nil {
		return err
	}
	var first, last []connection
	waits := false
	for _, c := range all {
		switch {
		case c.id == id:
			waits = strings.HasPrefix(c.state, "Waiting for ")
		case !c.isSession():
		case c.awaitsAcknowledgement():
			last = append(last, c)
		default:
			first = append(first, c)
		}
	}
	if !waits {
		return nil
	}
	if err := b.cut(ctx, d, append(first, last...)); err != nil || release == nil {
		return err
	}
	return release(ctx)
}

// end is EndSessions.
func (b base) end(ctx context.Context, d dialect) (int, error) {
	all, err := b.connections(ctx)
	var sessions []connection
	for _, c := range all {
		if c.isSession() {
			sessions = append(sessions, c)
		}
	}
	return len(sessions), errors.Join(err, b.cut(ctx, d, sessions))
}

// cut cuts sessions off one by one; one that is gone already is as good.
func (b base) cut(ctx context.Context, d dialect, sessions []connection) (err error) {
	for _, c := range sessions {
		var gone *driver.MySQLError
		if e := b.exec(ctx, "cutting a connection", d.kill+c.id); e != nil && !(errors.As(e, &gone) && gone.Number == 1094) && err == nil {
			err = e
		}
	}
	return err
}

// connection is one that the server lists.
type connection struct{ id, user, host, command, state string }

func (b base) connections(ctx context.Context) ([]connection, error) {
	all, err := b.rows(ctx, "listing connections", "SELECT id, user, host, command, state FROM information_schema.processlist")
	list := make([]connection, len(all))
	for i, r := range all {
		list[i] = connection{r["id"], r["user"], r["host"], r["command"], r["state"]}
	}
	return list, err
}

// isSession tells of those that EndSessions cuts. Replication's are told by what they do: a user of any name may be an administrator at
// this machine, but only replicas ask for the binary log.
func (c connection) isSession() bool {
	switch c.user {
	case "system user", "event_scheduler", "unauthenticated user":
		return false
	}
	return !strings.HasPrefix(c.command, "Binlog Dump") && c.command != "Daemon" && (c.user != "root" || c.host != "localhost")
}

func (c connection) awaitsAcknowledgement() bool {
	return strings.HasPrefix(c.state, "Waiting for semi-sync ACK")
}

// change is the statement that makes a server read-only, under way in a connection of its own. In the server it waits until no commit is
// under way, and from the moment on at which it waits nobody begins to write.
type change struct {
	db   *sql.DB
	conn *sql.Conn
	id   string // of the connection
	done chan error
	took bool // it is done, and well
}

// beginChange begins one; call end.
func (b base) beginChange(ctx context.Context, statement string) (*change, error) {
	const what = "making the server read-only: %w"
	conn, err := b.db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf(what, err)
	}
	c := &change{db: b.db, conn: conn, done: make(chan error, 1)}
	if err := conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&c.id); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf(what, err)
	}
	go func() {
		_, err := conn.ExecContext(ctx, statement)
		if err != nil {
			err = fmt.Errorf(what, err)
		}
		c.done <- err
	}()
	return c, nil
}

// end ends the change if it did not take: in the server it would go on waiting though nobody waits for it here any more, and come when the
// server is meant to be writable again.
func (c *change) end(ctx context.Context) {
	if !c.took {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_, _ = c.db.ExecContext(ctx, "KILL CONNECTION "+c.id)
	}
	_ = c.conn.Close()
}
