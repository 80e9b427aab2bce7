package provider

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/behaviors"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// What is declared is what is stored, and back again; a model that says the same is left as it is written.
func TestMySQLProxyAttribute(t *testing.T) {
	none := 0
	for _, p := range []spec.MySQLProxy{
		{Mode: spec.ProxySplit, Port: 3306},
		{Mode: spec.ProxyPorts, Port: 4000, ReadPort: 4001, Role: "shop/mysql"},
		{Mode: spec.ProxySQL, AdminFile: "/etc/farmhand/proxysql.cnf", WriterHostgroup: &none},
	} {
		p.SetDefaults()
		var diags diag.Diagnostics
		m := roleModel{MySQLProxy: encodeObject[mysqlProxyModel](t.Context(), roleMySQLProxySchema(), nil, &diags)}
		m.fillMySQLProxy(t.Context(), &p, &diags)
		got := m.mysqlProxySpec(t.Context(), &diags)
		if got == nil || !got.Equal(p) || diags.HasError() {
			t.Fatalf("%+v became %+v (%v)", p, got, diags)
		}
		before := m.MySQLProxy
		if m.fillMySQLProxy(t.Context(), got, &diags); !m.MySQLProxy.Equal(before) {
			t.Errorf("%v became %v", before, m.MySQLProxy)
		}
		if m.fillMySQLProxy(t.Context(), nil, &diags); !m.MySQLProxy.IsNull() {
			t.Errorf("a proxy that is gone shows as %v", m.MySQLProxy)
		}
	}
}

func TestMySQLProxyProblems(t *testing.T) {
	none, ten := 0, 10
	mysql := spec.Role{Farm: "shop", Name: "mysql", Behavior: "mysql"}
	stock := spec.Role{Farm: "shop", Name: "stock", Behavior: "mysql"}
	cache := spec.Role{Farm: "shop", Name: "cache", Behavior: "memcached"}
	all := []spec.Role{mysql, stock, cache}
	for _, c := range []struct {
		name, want string
		uses       []string
		proxy      spec.MySQLProxy
		behavior   string
	}{
		{"one database", "", []string{"shop/mysql", "shop/cache"}, spec.MySQLProxy{}, "apache"},
		{"of two, which is said", "", []string{"shop/mysql", "shop/stock"}, spec.MySQLProxy{Role: "shop/stock"}, "apache"},
		{"one that is made later", "", []string{"shop/later"}, spec.MySQLProxy{}, "apache"},
		{"nothing used", "uses no database", nil, spec.MySQLProxy{}, "apache"},
		{"no database", "uses no database", []string{"shop/cache"}, spec.MySQLProxy{}, "apache"},
		{"two databases", "several databases: shop/mysql, shop/stock", []string{"shop/mysql", "shop/stock"}, spec.MySQLProxy{}, "apache"},
		{"not a database", "is no database", []string{"shop/mysql", "shop/cache"}, spec.MySQLProxy{Role: "shop/cache"}, "apache"},
		{"not used", "not among those used", []string{"shop/mysql"}, spec.MySQLProxy{Role: "shop/stock"}, "apache"},
		{"no mode", "no mode", []string{"shop/mysql"}, spec.MySQLProxy{Mode: "magic"}, "apache"},
		{"a port of reads that splits", "one port for everything", []string{"shop/mysql"}, spec.MySQLProxy{ReadPort: 4000}, "apache"},
		{"ports alike", "that of writes already", []string{"shop/mysql"}, spec.MySQLProxy{Mode: spec.ProxyPorts, Port: 4000, ReadPort: 4000}, "apache"},
		{"one's own ProxySQL", "", []string{"shop/mysql"}, spec.MySQLProxy{Mode: spec.ProxySQL, WriterHostgroup: &none, AdminFile: "/etc/proxysql-admin.cnf"}, "apache"},
		{"hostgroups alike", "hostgroup 10 is that of writes already", []string{"shop/mysql"}, spec.MySQLProxy{Mode: spec.ProxySQL, ReaderHostgroup: &ten}, "apache"},
		{"no path", "no path on a server", []string{"shop/mysql"}, spec.MySQLProxy{Mode: spec.ProxySQL, AdminFile: "proxysql.cnf"}, "apache"},
		{"hostgroups without ProxySQL", "only a ProxySQL has that", []string{"shop/mysql"}, spec.MySQLProxy{WriterHostgroup: &ten}, "apache"},
		{"a port of reads at ProxySQL", "one port for everything", []string{"shop/mysql"}, spec.MySQLProxy{Mode: spec.ProxySQL, ReadPort: 4000}, "apache"},
		{"the behavior's port", "that of the role's own behavior", []string{"shop/mysql"}, spec.MySQLProxy{}, "mysql"},
	} {
		c.proxy.SetDefaults()
		role := spec.Role{Farm: "shop", Name: "web", Behavior: c.behavior, Uses: c.uses, MySQLProxy: &c.proxy}
		role.SetDefaults()
		b, _ := behaviors.Get(c.behavior)
		got := ""
		for _, p := range append(role.Validate(), mysqlProxyProblems(role, b.Traits(), all)...) {
			if p.Advice == "" {
				t.Errorf("%s: %q says no way out", c.name, p.Summary)
			}
			got += p.Attribute + ": " + p.Summary + "\n"
		}
		if c.want == "" && strings.Contains(got, "proxy") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q; want %q", c.name, got, c.want)
		}
	}
}
