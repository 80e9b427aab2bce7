package provider

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// TestDatabaseCredentials: a database's password is handed on within a run, and Terraform's state does not see it.
func TestDatabaseCredentials(t *testing.T) {
	w := newWorld(t)
	const database = `
resource "farmhand_role" "mysql" {
  farm     = farmhand_farm.shop.name
  name     = "mysql"
  behavior = "mysql"
  min      = 1
  max      = 1
  settings = { database = "orders" }
}
`
	const reader = database + `
ephemeral "farmhand_database_credentials" "mysql" { role = farmhand_role.mysql.id }
resource "farmhand_role" "reports" {
  farm     = farmhand_farm.shop.name
  name     = "reports"
  behavior = "base"
  min      = 1
  max      = 1
  secret_environment_wo         = { DSN = "${ephemeral.farmhand_database_credentials.mysql.user}:${ephemeral.farmhand_database_credentials.mysql.password}@${ephemeral.farmhand_database_credentials.mysql.host}/${ephemeral.farmhand_database_credentials.mysql.database}" }
  secret_environment_wo_version = 1
}
`
	w.run(
		resource.TestStep{Config: farmHCL + database},
		resource.TestStep{Config: farmHCL + reader, Check: func(s *terraform.State) error {
			made, _, err := store.GetJSON[map[string]string](t.Context(), w.store(), state.SecretKey("shop", "mysql"))
			w.must(err)
			given, _, err := store.GetJSON[map[string]string](t.Context(), w.store(), state.SecretKey("shop", "reports"))
			w.must(err)
			password := made["db_password"]
			if password == "" || given["DSN"] != "app:"+password+"@primary.mysql.shop.internal/orders" {
				t.Errorf("the role was given %q", given["DSN"])
			}
			if strings.Contains(s.String(), password) {
				t.Error("the password is in Terraform's state")
			}
			return nil
		}},
		resource.TestStep{
			Config:      farmHCL + database + "ephemeral \"farmhand_database_credentials\" \"none\" { role = \"shop/none\" }",
			ExpectError: says("no database yet", "shop/none is not declared"), PlanOnly: true,
		},
		resource.TestStep{
			Config:      webHCL + database + "ephemeral \"farmhand_database_credentials\" \"none\" { role = \"mysql\" }",
			ExpectError: says("no role's id", "FARM/ROLE"), PlanOnly: true,
		},
		resource.TestStep{Config: farmHCL + database},
	)
}
