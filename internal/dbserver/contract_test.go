package dbserver_test

import (
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver"
	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver/dbservertest"
	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver/mariadbtest"
)

func TestMariaDB(t *testing.T) {
	dbservertest.Run(t, func(t *testing.T, id int) *dbservertest.Instance {
		// As the mysql behavior configures it: acknowledgements from the moment on at which a replica follows, no time limit of waiting.
		m := mariadbtest.Start(t, mariadbtest.Folder(t), id, "rpl-semi-sync-slave-enabled=ON", "rpl-semi-sync-master-timeout=4294967295", "rpl-semi-sync-master-wait-point=AFTER_SYNC")
		s, err := dbserver.Open(t.Context(), m.Socket)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return &dbservertest.Instance{Server: s, Address: m.Address}
	})
}
