package engine_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// databaseWorld are a role's database servers: what is on their volumes, and which writes clients were told are safe.
type databaseWorld struct {
	record  *state.Database
	volumes map[int]*databaseVolume
	acked   []write
	serial  int
	lossy   bool // acknowledged writes may be lost: a person said so, or the role does
	lost    int
}

// write is a transaction: its number is its place in the log.
type write struct{ id, server int }

// databaseVolume outlives its machine.
type databaseVolume struct {
	full  bool
	data  bool
	log   []write // applied
	relay []write // received, applied or not
	errs  string
}

// databaseProcess is a server and its agent on one machine.
type databaseProcess struct {
	hung, cut, slow bool
	heard           time.Time
	told            *state.Database
	done, term      int64
	writable        bool
	waiting         int // writes at the end of the log that nobody has acknowledged
	diverged        string
	receiving       bool
	fromSource      time.Time // last
	source          string
	cloned          time.Time // a clone is done then
	said            string
}

const databaseRhythm = 100 * time.Millisecond

func (r *roleWorld) replicate() {
	if r.servers == nil {
		r.servers = &databaseWorld{volumes: map[int]*databaseVolume{}}
	}
}

func (w *world) rhythm() time.Duration {
	for _, r := range w.roles {
		if r.servers != nil {
			return databaseRhythm
		}
	}
	return time.Second
}

func (m *machineWorld) runs() bool { return !m.Stopped && !m.db.hung }

func (w *world) serversOf(r *roleWorld) []*machineWorld {
	var all []*machineWorld
	for _, i := range slices.Sorted(maps.Keys(r.records)) {
		if m := w.byToken(r.records[i].Token); m != nil && m.launched.Add(agentAfter).Before(w.now) {
			all = append(all, m)
		}
	}
	return all
}

func (r *roleWorld) volumeOf(m *machineWorld) *databaseVolume {
	i := r.byToken(m.Token).Index
	if r.servers.volumes[i] == nil {
		r.servers.volumes[i] = &databaseVolume{}
	}
	return r.servers.volumes[i]
}

func (w *world) at(r *roleWorld, address string) *machineWorld {
	for _, m := range w.serversOf(r) {
		if r.byToken(m.Token).Address == address {
			return m
		}
	}
	return nil
}

func (w *world) liveDatabases() {
	for _, name := range slices.Sorted(maps.Keys(w.roles)) {
		r := w.roles[name]
		if r.servers == nil {
			continue
		}
		for _, m := range w.serversOf(r) {
			if m.runs() {
				w.liveAgent(r, m)
			}
		}
		for _, m := range w.serversOf(r) {
			if m.runs() && m.db.writable {
				w.writeTo(r, m)
			}
		}
		for _, m := range w.serversOf(r) {
			if m.runs() {
				w.replicate(r, m)
			}
		}
		var writable []string
		for _, m := range w.serversOf(r) {
			if m.runs() && m.db.writable {
				writable = append(writable, m.Name)
				w.acknowledge(r, m)
			}
			if m.runs() && !m.mute && !m.db.cut && w.saidOf(m, r) != m.db.said {
				w.reportOf(m, r)
			}
		}
		if len(writable) > 1 {
			w.broken = append(w.broken, fmt.Sprintf("%s: %s take writes at once", w.now.Sub(w.start), strings.Join(writable, " and ")))
		}
	}
}

// liveAgent hears the farm and does what it is ordered.
func (w *world) liveAgent(r *roleWorld, m *machineWorld) {
	db, v := &m.db, r.volumeOf(m)
	if !m.mute && !db.cut {
		db.heard, db.told = m.report.At, r.servers.record // its lease counts from its last report that was taken
	}
	if db.told == nil {
		return
	}
	if db.writable && w.now.Sub(db.heard) >= db.told.Lease {
		db.writable = false
	}
	o := db.told.Orders[m.Name]
	if o.Token != m.Token {
		db.writable = false
		return
	}
	if db.writable && o.Office != state.OfficePrimary {
		db.writable = false
	}
	if o.Seq <= db.done && o.Office != state.OfficePrimary {
		return
	}
	switch o.Office {
	case state.OfficePrimary:
		if db.told.Primary != m.Name || o.Term != db.told.Term || w.now.Sub(db.heard) >= db.told.Lease {
			return
		}
		if !v.data && !o.First {
			v.errs = "it holds no data"
			return
		}
		v.data, v.relay, db.source, db.receiving, db.diverged = true, nil, "", false, ""
		if !db.writable {
			w.checkAcked(r, m, v)
		}
		db.writable = true
	case state.OfficeReplica, state.OfficeClone:
		if db.source != o.Source {
			db.source, db.receiving, db.diverged, v.relay, db.fromSource = o.Source, false, "", nil, w.now
		}
		if !v.data || o.Office == state.OfficeClone {
			from := w.at(r, o.CloneFrom)
			if from == nil || !from.runs() || from.db.cut || db.cut || !r.volumeOf(from).data {
				db.cloned = time.Time{}
				return
			}
			if db.cloned.IsZero() {
				db.cloned = w.now.Add(2 * time.Second)
			}
			if w.now.Before(db.cloned) {
				return
			}
			db.cloned = time.Time{}
			v.data, v.log, v.relay, db.diverged = true, slices.Clone(r.volumeOf(from).log), nil, ""
		}
		if o.Until != "" && !covers(v.position(), o.Until) {
			return
		}
		if db.diverged != "" {
			return
		}
	case state.OfficeDrain:
		db.receiving, db.source = false, ""
		if len(v.relay) > len(v.log) {
			v.apply(db.slow)
			return
		}
	}
	db.done, db.term = o.Seq, o.Term
}

// replicate receives what the source has, and applies it.
func (w *world) replicate(r *roleWorld, m *machineWorld) {
	db, v := &m.db, r.volumeOf(m)
	if db.source == "" || !v.data {
		db.receiving = false
		return
	}
	from := w.at(r, db.source)
	switch {
	case from == nil || from.Stopped:
		db.receiving = false
	case from.db.hung || from.db.cut || db.cut:
		if w.now.Sub(db.fromSource) >= 4*time.Second {
			db.receiving = false
		}
	default:
		db.fromSource = w.now
		source := r.volumeOf(from).log
		if have := max(len(v.log), len(v.relay)); len(v.relay) < len(v.log) {
			v.relay = slices.Clone(v.log[:have])
		}
		if len(v.relay) > len(source) || !slices.Equal(v.relay, source[:len(v.relay)]) {
			db.diverged, db.receiving = "the source does not have "+v.position(), false
			return
		}
		db.receiving = true
		v.relay = append(v.relay, source[len(v.relay):]...)
	}
	v.apply(db.slow)
}

func (v *databaseVolume) apply(slow bool) {
	if n := len(v.relay) - len(v.log); n > 0 {
		if slow {
			n = 1
		}
		v.log = append(v.log, v.relay[len(v.log):len(v.log)+n]...)
	}
}

const writesAtOnce = 2

func (w *world) writeTo(r *roleWorld, m *machineWorld) {
	v := r.volumeOf(m)
	if m.db.waiting > 0 {
		return
	}
	for range writesAtOnce {
		r.servers.serial++
		v.log = append(v.log, write{r.servers.serial, r.byToken(m.Token).Index})
	}
	m.db.waiting = writesAtOnce
}

// acknowledge tells clients of the writes that are safe: a replica has received them, or the primary may go on alone.
func (w *world) acknowledge(r *roleWorld, m *machineWorld) {
	v, o := r.volumeOf(m), m.db.told.Orders[m.Name]
	safe := o.Alone
	for _, other := range w.serversOf(r) {
		ov := r.volumeOf(other)
		safe = safe || other != m && other.runs() && other.db.receiving && other.db.source == r.byToken(m.Token).Address && len(ov.relay) >= len(v.log)
	}
	if safe && m.db.waiting > 0 {
		r.servers.acked = append(r.servers.acked, v.log[len(v.log)-m.db.waiting:]...)
		m.db.waiting = 0
	}
}

// checkAcked complains where a new primary lacks what clients were told is safe.
func (w *world) checkAcked(r *roleWorld, m *machineWorld, v *databaseVolume) {
	has := map[write]bool{}
	for _, x := range v.log {
		has[x] = true
	}
	var missing int
	r.servers.acked = slices.DeleteFunc(r.servers.acked, func(x write) bool {
		if !has[x] {
			missing++
		}
		return !has[x]
	})
	r.servers.lost += missing
	if missing > 0 && !r.servers.lossy {
		w.broken = append(w.broken, fmt.Sprintf("%s: %s was promoted without %d acknowledged writes", w.now.Sub(w.start), m.Name, missing))
	}
}

func (v *databaseVolume) position() string { return positionIn(v.log) }

func positionIn(log []write) string {
	if len(log) == 0 {
		return ""
	}
	return fmt.Sprintf("0-%d-%d", log[len(log)-1].server, len(log))
}

func covers(a, b string) bool {
	var x, y, n, m, d int
	_, _ = fmt.Sscanf(a, "%d-%d-%d", &d, &x, &n)
	_, _ = fmt.Sscanf(b, "%d-%d-%d", &d, &y, &m)
	return n >= m
}

func (w *world) reportDatabase(m *machineWorld, r *roleWorld) {
	db, v := &m.db, r.volumeOf(m)
	o := state.DatabaseOrder{}
	if db.told != nil && db.told.Orders[m.Name].Token == m.Token {
		o = db.told.Orders[m.Name]
	}
	rep := &state.DatabaseReport{Flavor: "mariadb", TLS: true, Done: db.done, Term: db.term, Writable: db.writable, Empty: !v.data, Position: v.position(),
		Diverged: db.diverged, Source: db.source, Receiving: db.receiving, Applying: db.source != "" && db.diverged == "", DiskUsed: 0.3}
	if v.full {
		rep.DiskUsed = 0.91
	}
	rep.Received = rep.Position
	if len(v.relay) > len(v.log) {
		rep.Received = positionIn(v.relay)
	}
	if db.source != "" && v.data {
		rep.LagKnown, rep.Lag = true, float64(max(0, len(v.relay)-len(v.log)))/10/writesAtOnce
		if !db.receiving {
			rep.Lag += w.now.Sub(db.fromSource).Seconds()
		}
		rep.Lost = !db.receiving
		rep.Acks = db.receiving
	}
	rep.Drained = o.Office == state.OfficeDrain && db.done >= o.Seq
	if db.writable {
		for _, other := range w.serversOf(r) {
			if other != m && other.runs() && other.db.receiving && other.db.source == r.byToken(m.Token).Address {
				rep.SemiSync++
			}
		}
		rep.Waiting = db.waiting > 0
	}
	if db.done < o.Seq {
		rep.Error = v.errs
	}
	m.report.Database = rep
	m.db.said = w.saidOf(m, r)
}

// saidOf is what of a server is told at once when it changes.
func (w *world) saidOf(m *machineWorld, r *roleWorld) string {
	db, v := m.db, r.volumeOf(m)
	drained := db.told != nil && db.told.Orders[m.Name].Office == state.OfficeDrain && db.done >= db.told.Orders[m.Name].Seq
	return fmt.Sprint(db.done, db.term, db.writable, v.data, db.receiving, db.diverged, drained)
}

// watchFor is the engine's looking as the controller does it: every two seconds, at once when something of note is said or a
// machine stops, and four times a second while a primary is in doubt or is being replaced.
func (w *world) watchFor(d time.Duration) string {
	var b strings.Builder
	seen, last := w.noted(), w.now
	for end := w.now.Add(d); w.now.Before(end); {
		w.pass(databaseRhythm)
		every := 2 * time.Second
		for _, r := range w.roles {
			if r.servers != nil && r.servers.record != nil && (r.servers.record.Failover != nil || r.servers.record.Suspect != nil) {
				every = 250 * time.Millisecond
			}
		}
		if w.record != nil {
			w.record(w.view())
		}
		if now := w.noted(); now != seen || w.now.Sub(last) >= every {
			seen, last = now, w.now
			b.WriteString(w.words(w.decide()))
		}
	}
	return b.String()
}

func (w *world) noted() string {
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(w.machines)) {
		m := w.machines[id]
		fmt.Fprintln(&b, id, m.Stopped, m.report.Boot.Done, m.db.said)
	}
	return b.String()
}

func (w *world) tellDatabase(t *testing.T, d *datadriven.TestData) string {
	name := ""
	if len(d.CmdArgs) > 0 {
		name = d.CmdArgs[0].Key
	}
	switch d.Cmd {
	case "watch":
		return w.watchFor(length(t, name))
	case "crash":
		o := engine.Decide(w.view())
		return w.words(o)
	case "half-crash":
		o := engine.Decide(w.view())
		for name, db := range o.Databases {
			w.roles[name].servers.record = &db
		}
		return w.words(o)
	case "wish":
		wish := &state.FailoverWish{ID: "wish-1", At: w.now, By: "ada@desk"}
		for _, a := range d.CmdArgs[1:] {
			switch a.Key {
			case "to":
				wish.To = a.Vals[0]
			case "force":
				wish.Force, w.roles[name].servers.lossy = true, true
			}
		}
		db := *w.roles[name].servers.record
		db.Wish = wish
		w.roles[name].servers.record = &db
		return ""
	case "database":
		return w.databaseWords(w.roles[name])
	}
	if d.Cmd == "wipe" || d.Cmd == "full" {
		for _, r := range w.roles {
			for _, rec := range r.records {
				if rec.Name() == name && d.Cmd == "wipe" {
					r.servers.volumes[rec.Index] = &databaseVolume{}
					r.servers.lossy = true
				} else if rec.Name() == name {
					r.servers.volumes[rec.Index].full = true
				}
			}
		}
		return ""
	}
	for _, a := range d.CmdArgs {
		m := w.machineOf(a.Key)
		if m == nil {
			return a.Key + " has no machine\n"
		}
		switch d.Cmd {
		case "hang", "resume":
			m.db.hung = d.Cmd == "hang"
		case "cut", "join":
			m.db.cut = d.Cmd == "cut"
		case "slow", "quick":
			m.db.slow = d.Cmd == "slow"
		case "errant":
			r := w.roles[m.Role]
			v := r.volumeOf(m)
			v.log = append(v.log, write{-1, r.byToken(m.Token).Index})
			v.relay = append(v.relay, write{-1, r.byToken(m.Token).Index})
		}
	}
	return ""
}

func (w *world) databaseWords(r *roleWorld) string {
	var b strings.Builder
	db := r.servers.record
	if db == nil {
		return "nothing is decided\n"
	}
	fmt.Fprintf(&b, "term %d, primary %s, reads %v, acknowledged %s, lost %d\n", db.Term, orRole(db.Primary, "none"), db.Reads, ackersOf(db), r.servers.lost)
	if db.Failover != nil {
		fmt.Fprintf(&b, "%s from %s to %s\n", db.Failover.Step, db.Failover.From, db.Failover.To)
	}
	for _, m := range w.serversOf(r) {
		o, v := db.Orders[m.Name], r.volumeOf(m)
		fmt.Fprintf(&b, "%s is to be %s, writable %t, data %t, follows %q\n", m.Name, o.Office, m.db.writable && m.runs(), v.data, m.db.source)
	}
	return b.String()
}

func ackersOf(db *state.Database) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(db.Ackers)) {
		if db.Ackers[name].Counted {
			all = append(all, name)
		}
	}
	if len(all) == 0 {
		return "by none"
	}
	return "by " + strings.Join(all, ", ")
}
