package dbbackup

import (
	"os"
	"path/filepath"
	"testing"
)

// TestPosition: the farther of what the backup's source had written and says to have applied.
func TestPosition(t *testing.T) {
	for name, c := range map[string]struct{ binlog, slave, want string }{
		"a primary":                     {"bin.000002\t1234\t0-1-500\n", "", "0-1-500"},
		"a replica":                     {"bin.000002\t1234\t0-1-500\n", "SET GLOBAL gtid_slave_pos = '0-1-500';\nCHANGE MASTER TO master_use_gtid = slave_pos;\n", "0-1-500"},
		"noted before it was counted":   {"bin.000002\t1234\t0-1-500\n", "SET GLOBAL gtid_slave_pos = '0-1-499';\n", "0-1-500"},
		"a clone that wrote no log yet": {"bin.000001\t330\t\n", "SET GLOBAL gtid_slave_pos = '0-1-499';\n", "0-1-499"},
		"a clone with an old log":       {"bin.000001\t330\t0-3-7\n", "SET GLOBAL gtid_slave_pos = '0-1-499';\n", "0-1-499"},
		"a primary that was a replica":  {"bin.000004\t330\t0-2-900\n", "SET GLOBAL gtid_slave_pos = '0-1-499';\n", "0-2-900"},
		"nobody":                        {"", "", ""},
	} {
		dir := t.TempDir()
		for file, text := range map[string]string{"xtrabackup_binlog_info": c.binlog, "xtrabackup_slave_info": c.slave} {
			if text == "" {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := Position(dir)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: position %q, %v; want %q", name, got, err, c.want)
		}
	}
}
