package mysql

import (
	"os"
	"strings"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// TestCloneNumbers prints how long clones of 260 MB take. With FARMHAND_BENCH only: it is a measurement.
func TestCloneNumbers(t *testing.T) {
	if os.Getenv("FARMHAND_BENCH") == "" {
		t.Skip("a measurement: set FARMHAND_BENCH=1")
	}
	r := newRig(t, 2)
	r.start(1)
	n := r.nodes[1]
	db := n.app()
	n.exec(db, "CREATE TABLE rows_ (id INT PRIMARY KEY AUTO_INCREMENT, b LONGTEXT)")
	for range 26 {
		n.exec(db, "INSERT INTO rows_ (b) SELECT CONCAT(REPEAT('x', 5000), HEX(RANDOM_BYTES(1024)), HEX(RANDOM_BYTES(1024)), HEX(RANDOM_BYTES(500))) FROM seq_1_to_1000")
	}
	r.nodes[2].launch()
	r.primary(1, "", true, 2)
	r.nodes[2].awaitSetup()
	r.nodes[2].until("following", following)
	for range 4 {
		r.order(func(d *state.Database) {
			o := d.Orders["db-2"]
			o.Seq, o.Office = o.Seq+1, state.OfficeClone
			d.Orders["db-2"] = o
		})
		seq := r.decided().Orders["db-2"].Seq
		r.nodes[2].until("a clone", func(d state.DatabaseReport) bool { return d.Done == seq && following(d) })
		r.order(func(d *state.Database) {
			o := d.Orders["db-2"]
			o.Office = state.OfficeReplica
			d.Orders["db-2"] = o
		})
		seq = r.decided().Orders["db-2"].Seq
		r.nodes[2].until("a replica", func(d state.DatabaseReport) bool { return d.Done == seq })
	}
	for line := range strings.Lines(r.nodes[2].out.String()) {
		if strings.HasPrefix(line, "farmhand: cloned") {
			t.Log(strings.TrimSpace(line))
		}
	}
}
