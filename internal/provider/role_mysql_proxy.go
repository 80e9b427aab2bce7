package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/behaviors"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// mysqlProxyModel is a role's proxy. Nothing in it is computed: what is left out has the defaults.
type mysqlProxyModel struct {
	Mode     types.String `tfsdk:"mode"`
	Role     types.String `tfsdk:"role"`
	Port     types.Int64  `tfsdk:"port"`
	ReadPort types.Int64  `tfsdk:"read_port"`

	AdminPort       types.Int64  `tfsdk:"admin_port"`
	AdminFile       types.String `tfsdk:"admin_defaults_file"`
	WriterHostgroup types.Int64  `tfsdk:"writer_hostgroup"`
	ReaderHostgroup types.Int64  `tfsdk:"reader_hostgroup"`
}

func roleMySQLProxySchema() schema.SingleNestedAttribute {
	port := func(description string) schema.Int64Attribute {
		return schema.Int64Attribute{Optional: true, Validators: []validator.Int64{int64validator.Between(1, 65535)}, MarkdownDescription: description}
	}
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "A proxy on each of the role's servers, at 127.0.0.1, to a `mysql` role that it uses. `DB_HOST` and `DB_PORT` lead to it, and the application " +
			"need not know which server is the primary: a failover or a planned change is the proxy's business. A change replaces no server.",
		Attributes: map[string]schema.Attribute{
			"mode": schema.StringAttribute{Optional: true, Validators: []validator.String{stringvalidator.OneOf(spec.ProxyModes...)},
				MarkdownDescription: "`split` (default): one port; plain reads outside transactions go to replicas, and see what was written through the same proxy; everything else goes to the primary, " +
					"and waits for up to 10 s while there is none. `ports`: HAProxy with one port for writes and one for reads (`DB_READ_HOST`, `DB_READ_PORT`); sessions at a former primary are ended. It reads from 32 replicas at most. " +
					"`proxysql`: a ProxySQL that you install on the servers, by `boot_script` or in their image, has its `mysql_servers` kept in step: the primary in `writer_hostgroup`, those that keep up in `reader_hostgroup`. " +
					"Users, rules and everything else in it are yours."},
			"role":       schema.StringAttribute{Optional: true, MarkdownDescription: "Id of the `mysql` role, where `uses` names several."},
			"port":       port(fmt.Sprintf("Default: `%d`.", spec.DefaultProxyPort) + fmt.Sprintf(" With `proxysql`: `%d`.", spec.DefaultProxySQLPort)),
			"read_port":  port(fmt.Sprintf("Of reads, with `ports`. Default: `%d`.", spec.DefaultProxyReadPort)),
			"admin_port": port(fmt.Sprintf("Of ProxySQL's admin interface at 127.0.0.1. Default: `%d`.", spec.DefaultProxySQLAdminPort)),
			"admin_defaults_file": schema.StringAttribute{Optional: true,
				MarkdownDescription: "With `proxysql`: option file on the server with `user` and `password` of the admin interface under `[client]`. Default: `admin` and `admin`, as ProxySQL comes."},
			"writer_hostgroup": schema.Int64Attribute{Optional: true, MarkdownDescription: fmt.Sprintf("With `proxysql`. Default: `%d`.", spec.DefaultWriterHostgroup), Validators: []validator.Int64{int64validator.AtLeast(0)}},
			"reader_hostgroup": schema.Int64Attribute{Optional: true, MarkdownDescription: fmt.Sprintf("With `proxysql`. While no replica keeps up, the primary is in it, too. Default: `%d`.", spec.DefaultReaderHostgroup), Validators: []validator.Int64{int64validator.AtLeast(0)}},
		},
	}
}

// mysqlProxySpec is the declared proxy, nil for none.
func (m *roleModel) mysqlProxySpec(ctx context.Context, diags *diag.Diagnostics) *spec.MySQLProxy {
	d := decode[mysqlProxyModel](ctx, m.MySQLProxy, diags)
	if d == nil {
		return nil
	}
	p := &spec.MySQLProxy{Mode: d.Mode.ValueString(), Role: d.Role.ValueString(), Port: int(d.Port.ValueInt64()), ReadPort: int(d.ReadPort.ValueInt64()),
		AdminPort: int(d.AdminPort.ValueInt64()), AdminFile: d.AdminFile.ValueString()}
	for to, from := range map[**int]types.Int64{&p.WriterHostgroup: d.WriterHostgroup, &p.ReaderHostgroup: d.ReaderHostgroup} {
		if !from.IsNull() && !from.IsUnknown() {
			n := int(from.ValueInt64())
			*to = &n
		}
	}
	p.SetDefaults()
	return p
}

// optionalNumber is n, which may be 0; null where there is none.
func optionalNumber(n *int) types.Int64 {
	if n == nil {
		return types.Int64Null()
	}
	return types.Int64Value(int64(*n))
}

// fillMySQLProxy takes over what p says, where the model does not say the same already.
func (m *roleModel) fillMySQLProxy(ctx context.Context, p *spec.MySQLProxy, diags *diag.Diagnostics) {
	if own := m.mysqlProxySpec(ctx, diags); own != nil && p != nil && own.Equal(*p) {
		return
	}
	var d *mysqlProxyModel
	if p != nil {
		d = &mysqlProxyModel{Mode: types.StringValue(p.Mode), Role: optionalString(p.Role), Port: types.Int64Value(int64(p.Port)), ReadPort: optionalInt(p.ReadPort),
			AdminPort: optionalInt(p.AdminPort), AdminFile: optionalString(p.AdminFile), WriterHostgroup: optionalNumber(p.WriterHostgroup), ReaderHostgroup: optionalNumber(p.ReaderHostgroup)}
	}
	m.MySQLProxy = encodeObject(ctx, roleMySQLProxySchema(), d, diags)
}

// mysqlProxyProblems is what is wrong with a role's proxy. others are the farm's roles, as far as they are made: one that is not is
// judged when it is.
func mysqlProxyProblems(role spec.Role, traits behavior.Traits, others []spec.Role) []spec.Problem {
	p := role.MySQLProxy
	if p == nil {
		return nil
	}
	var problems []spec.Problem
	for at, port := range map[string]int{"mysql_proxy.port": p.Port, "mysql_proxy.read_port": p.ReadPort} {
		if port != 0 && port == traits.Port {
			problems = append(problems, spec.Problem{Attribute: at, Summary: fmt.Sprintf("port %d is that of the role's own behavior %s", port, role.Behavior), Advice: "Choose another one"})
		}
	}
	known, replicated := map[string]string{}, map[string]bool{}
	for _, other := range others {
		known[other.ID()] = other.Behavior
		if b, ok := behaviors.Get(other.Behavior); ok {
			replicated[other.ID()] = b.Traits().Replicated
		}
	}
	for _, id := range role.Uses {
		if _, made := known[id]; !made && id != "" {
			return problems
		}
	}
	id, err := p.Database(role.Uses, func(id string) bool { return replicated[id] })
	switch {
	case err != nil && strings.Contains(err.Error(), "several"):
		problems = append(problems, spec.Problem{Attribute: "mysql_proxy", Summary: err.Error(), Advice: "Say which by mysql_proxy.role"})
	case err != nil && len(role.Uses) > 0:
		problems = append(problems, spec.Problem{Attribute: "mysql_proxy", Summary: err.Error(), Advice: "Name the mysql role in uses"})
	case err == nil && known[id] != "" && !replicated[id]:
		problems = append(problems, spec.Problem{Attribute: "mysql_proxy.role", Summary: fmt.Sprintf("role %s is no database: its behavior is %s", id, known[id]), Advice: "Name a mysql role"})
	}
	return problems
}
