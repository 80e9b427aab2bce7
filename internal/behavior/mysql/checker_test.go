package mysql

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// TestChecker asks a real MariaDB, in a container, about configurations that it would and would not start with.
func TestChecker(t *testing.T) {
	const image = "farmhand-lamp:bookworm"
	if testing.Short() {
		t.Skip("no container is started with -short")
	}
	if out, err := exec.Command("docker", "image", "inspect", image).CombinedOutput(); err != nil {
		t.Skipf("no container engine with image %s: %v: %.200s", image, err, out)
	}
	good, err := render(mariaDB{}, behavior.Instance{Assignment: state.Assignment{Farm: "shop", Role: database, Index: 1}},
		paths{DataDir: "/var/lib/mysql", RunDir: "/run/mysqld", Socket: "/run/mysqld/mysqld.sock",
			Authority: "/run/mysqld/tls/authority.pem", Certificate: "/run/mysqld/tls/server.pem"}, 128)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ add, want string }{
		"as it is rendered":    {"", ""},
		"an unknown option":    {"no-such-option=1\n", "no-such-option"},
		"a value that is none": {"max-connections=x\n", "max_connections"},
	} {
		cmd := exec.Command("docker", "run", "--rm", "-i", "--network", "none", image,
			"sh", "-c", `cat >/tmp/my.cnf; exec sh -c "$0" sh /tmp/my.cnf`, checker)
		cmd.Stdin = bytes.NewReader(append(good, c.add...))
		out, err := cmd.CombinedOutput()
		if (err == nil) != (c.want == "") || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %v, printing %q; want %q in it", name, err, out, c.want)
		}
	}
}
