package dbbackup

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
)

// Drill restores a backup with the binary logs behind it into r.Dir, checks every table, counts rows, asks query if it is not "", and
// removes it all again. The report tells how far it came also when it failed; its Error is then set, and err nil. err is of what
// kept it from being tried.
func (r Restorer) Drill(ctx context.Context, c backup.Catalog, m backup.Manifest, key backup.Key, query string, now func() time.Time) (backup.Drill, error) {
	d := backup.Drill{Backup: m.ID, Began: now().UTC(), Query: query}
	began, step := now(), ""
	next := func(what string) {
		t := now()
		if step != "" {
			d.Steps = append(d.Steps, backup.DrillStep{Step: step, Took: t.Sub(began)})
		}
		began, step = t, what
	}
	tell := r.Doing
	r.Doing = func(what string) {
		next(what)
		if tell != nil {
			tell(what)
		}
	}
	err := r.drill(ctx, c, m, key, &d)
	next("")
	d.Took = now().Sub(d.Began)
	if ctx.Err() != nil {
		return d, context.Cause(ctx)
	}
	if errors.Is(err, backup.ErrUnavailable) {
		return d, err // says nothing of the backup
	}
	if d.OK = err == nil; err != nil {
		d.Error = err.Error()
	}
	return d, nil
}

func (r Restorer) drill(ctx context.Context, c backup.Catalog, m backup.Manifest, key backup.Key, d *backup.Drill) (err error) {
	done, err := r.Restore(ctx, c, m, key, Point{})
	d.Position, d.Until = done.Position, done.Until
	if err != nil {
		return err
	}
	defer r.Remove()
	r.doing("checking tables")
	server, err := r.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop(context.WithoutCancel(ctx))) }()
	if err := check(ctx, server.db, d); err != nil {
		return err
	}
	if d.Query == "" {
		return nil
	}
	r.doing("asking " + d.Query)
	d.Answer, err = firstRow(ctx, server.db, d.Query)
	if err != nil {
		return fmt.Errorf("the query of the drill: %w", err)
	}
	return nil
}

// check looks through every table of every database that is not the server's own.
func check(ctx context.Context, db *sql.DB, d *backup.Drill) error {
	rows, err := db.QueryContext(ctx, "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema') ORDER BY 1, 2")
	if err != nil {
		return fmt.Errorf("listing the tables: %w", err)
	}
	defer rows.Close()
	var tables []string
	for rows.Next() {
		var schema, table string
		if err := rows.Scan(&schema, &table); err != nil {
			return fmt.Errorf("listing the tables: %w", err)
		}
		tables = append(tables, quote(schema)+"."+quote(table))
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("listing the tables: %w", err)
	}
	d.Tables = len(tables)
	for _, t := range tables {
		if err := checkTable(ctx, db, t); err != nil {
			return err
		}
		d.Checked++
		var n int64
		if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+t).Scan(&n); err != nil {
			return fmt.Errorf("counting the rows of %s: %w", t, err)
		}
		d.Rows += n
	}
	return nil
}

// checkTable: the statement itself never fails, its rows tell.
func checkTable(ctx context.Context, db *sql.DB, table string) error {
	rows, err := db.QueryContext(ctx, "CHECK TABLE "+table)
	if err != nil {
		return fmt.Errorf("CHECK TABLE %s: %w", table, err)
	}
	defer rows.Close()
	for rows.Next() {
		var name, op, kind, text string
		if err := rows.Scan(&name, &op, &kind, &text); err != nil {
			return fmt.Errorf("CHECK TABLE %s: %w", table, err)
		}
		if strings.EqualFold(kind, "error") || kind == "status" && text != "OK" && text != "Table is already up to date" {
			return fmt.Errorf("CHECK TABLE %s: %s", table, text)
		}
	}
	return rows.Err()
}

func firstRow(ctx context.Context, db *sql.DB, query string) (string, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return "", err
	}
	if !rows.Next() {
		return "", errors.Join(rows.Err(), errors.New("no row"))
	}
	values := make([]sql.NullString, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	if err := rows.Scan(into...); err != nil {
		return "", err
	}
	var b strings.Builder
	for i, c := range columns {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s = %s", c, values[i].String)
	}
	const enough = 300
	return b.String()[:min(b.Len(), enough)], nil
}

func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
