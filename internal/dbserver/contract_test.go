package dbserver_test

import (
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver"
	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver/dbservertest"
	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver/mariadbtest"
	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver/mysqltest"
)

func TestMariaDB(t *testing.T) {
	dbservertest.Run(t, func(t *testing.T, id int, more ...string) *dbservertest.Instance {
		// As the mysql behavior configures it: acknowledgements from the moment on at which a replica follows, no time limit of waiting.
		m := mariadbtest.Start(t, mariadbtest.Folder(t), id, append(more, "rpl-semi-sync-slave-enabled=ON",
			"rpl-semi-sync-master-timeout=4294967295", "rpl-semi-sync-master-wait-point=AFTER_SYNC")...)
		return &dbservertest.Instance{Server: open(t, m.Socket), Address: m.Address}
	})
}

func TestMySQL(t *testing.T) {
	dbservertest.Run(t, func(t *testing.T, id int, more ...string) *dbservertest.Instance {
		m := mysqltest.Start(t, mysqltest.Folder(t), id, append(more, "rpl-semi-sync-replica-enabled=ON",
			"rpl-semi-sync-source-timeout=4294967295", "rpl-semi-sync-source-wait-point=AFTER_SYNC")...)
		return &dbservertest.Instance{Server: open(t, m.Socket), Address: m.Address}
	})
}

func open(t *testing.T, socket string) dbserver.Server {
	t.Helper()
	s, err := dbserver.Open(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
