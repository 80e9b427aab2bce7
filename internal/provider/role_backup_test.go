package provider

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// TestBackupAttribute: what is declared is what is stored, and back again; a model that says the same is left as it is written.
func TestBackupAttribute(t *testing.T) {
	for _, b := range []spec.Backup{
		{To: "s3://b/p", KeyVersion: 2, Encrypted: true, DrillCron: "0 1 * * *", DrillQuery: "SELECT 1"},
		{To: "s3://b/p", DrillCron: "0 1 * * *", DrillOn: spec.DrillOnReplica, Snapshots: &spec.Snapshots{Keep: 3}},
		{To: "file:///backups", NoLogs: true, Daily: 3},
	} {
		b.SetDefaults()
		var stored spec.Backup // as the sidecar reads it
		if text, err := json.Marshal(b); err != nil || json.Unmarshal(text, &stored) != nil || !reflect.DeepEqual(stored, b) {
			t.Fatalf("%+v was stored as %s and read as %+v: %v", b, text, stored, err)
		}
		var diags diag.Diagnostics
		m := roleModel{Backup: encodeObject[backupModel](t.Context(), roleBackupSchema(), nil, &diags), BackupKeyVersion: types.Int64Null()}
		m.fillBackup(t.Context(), &b, &diags)
		got := m.backupSpec(t.Context(), &diags)
		if diags.HasError() || got == nil || !reflect.DeepEqual(*got, b) {
			t.Fatalf("%+v became %+v: %v", b, got, diags)
		}
		before := m.Backup
		m.fillBackup(t.Context(), got, &diags)
		if !m.Backup.Equal(before) {
			t.Fatal("what says the same was written anew")
		}
	}
}

func TestBackupProblems(t *testing.T) {
	b := spec.Backup{To: "file:///backups"}
	b.SetDefaults()
	role := spec.Role{Behavior: "apache", Backup: &b}
	problems := backupProblems(role, &spec.Farm{AWS: &spec.AWS{}}, behavior.Traits{})
	if len(problems) != 2 {
		t.Fatalf("%+v", problems)
	}
	if problems := backupProblems(role, &spec.Farm{}, behavior.Traits{Replicated: true}); len(problems) != 0 {
		t.Fatalf("%+v", problems)
	}
	key, err := backup.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	check := func(key types.String, encrypted bool) diag.Diagnostics {
		var diags diag.Diagnostics
		b.Encrypted = encrypted
		checkBackupKey(roleModel{BackupKey: key}, role, &diags)
		return diags
	}
	if d := check(types.StringValue(key.Secret()), true); len(d) != 0 {
		t.Fatal(d)
	}
	if d := check(types.StringNull(), false); d.HasError() || d.WarningsCount() != 1 {
		t.Fatal(d)
	}
	if d := check(types.StringNull(), true); !d.HasError() {
		t.Fatal(d)
	}
	const secret = "hunter2hunter2"
	d := check(types.StringValue(secret), true)
	if !d.HasError() || strings.Contains(d[0].Detail()+d[0].Summary(), secret) {
		t.Fatal(d)
	}
}
