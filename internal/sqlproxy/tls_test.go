package sqlproxy

import (
	"database/sql"
	"errors"
	"testing"

	driver "github.com/go-sql-driver/mysql"
)

// The servers offer TLS, and the proxy does not: what it cannot do it must not promise, whoever is behind it.
func TestTheProxyPromisesNoTLS(t *testing.T) {
	w := newWorld(t, 0)
	prepareWorld(t, w)
	_, address := w.proxy(nil)
	cipher := func(db *sql.DB) (name, value string, err error) {
		err = db.QueryRowContext(t.Context(), "SHOW SESSION STATUS LIKE 'Ssl_cipher'").Scan(&name, &value)
		return name, value, err
	}
	if _, value, err := cipher(open(t, w.servers[0].address, "tls=skip-verify")); err != nil || value == "" {
		t.Fatalf("the server itself speaks TLS by %q, %v: nothing is tested", value, err)
	}
	if err := open(t, address, "tls=skip-verify").PingContext(t.Context()); !errors.Is(err, driver.ErrNoTLS) {
		t.Errorf("a client that insists on TLS is told %v, want %v", err, driver.ErrNoTLS)
	}
	for _, how := range []string{"", "tls=preferred"} {
		if _, value, err := cipher(open(t, address, how)); err != nil || value != "" {
			t.Errorf("a client with %q speaks TLS by %q, %v", how, value, err)
		}
	}
}
