package engine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/gtid"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Time limits of a database's servers. Those of a change of the primary are per step: one that hangs is gone on without.
const (
	// DatabaseLease is how long a primary that hears nothing stays writable, where the record does not say, and
	// leaseMargin what is waited beyond it: two clocks, and the way of the last answer.
	DatabaseLease = 5 * time.Second
	leaseMargin   = time.Second
	// databaseSilent: agents report every two seconds. Silence alone kills nobody; the replicas must agree.
	databaseSilent = 4 * time.Second
	// freshFor is how old a report may be for its server to count as reachable.
	freshFor = 5 * time.Second
	// looksToDie and deadFor: so many looks in a row, and so long, must a primary seem dead while its machine is there. MHA
	// and orchestrator take three.
	looksToDie = 3
	deadFor    = 400 * time.Millisecond
	// drainPatience: applying what was received takes as long as there is of it; a replica that applies in parallel does a
	// thousand transactions a second. stragglers is for how long those are waited for that need not be.
	drainPatience   = 30 * time.Second
	stragglers      = 2 * time.Second
	promotePatience = 15 * time.Second
	// freezePatience and catchUpPatience bound the outage of a planned change before it is called off.
	freezePatience  = 5 * time.Second
	catchUpPatience = 5 * time.Second
	// switchAgainAfter: a change that nobody asked for and that was called off is an outage of some seconds each time.
	switchAgainAfter = 5 * time.Minute
	// degradeAfter is for how long commits wait for an acknowledgement that nobody could give before the primary is told
	// to go on alone. Nothing is promoted from then on that may lack what it acknowledged.
	degradeAfter = 10 * time.Second
	// firstPatience: before the first server is set up empty, the others are heard, for they might hold data.
	firstPatience = time.Minute
	// unreachablePatience is how long a primary whose agent is silent, and whom its replicas still hear, is left alone.
	unreachablePatience = time.Minute
	promotionsKept      = 20
)

// Settings of a replicated role, and what failover may be set to.
const (
	SettingFailover    = "failover"
	SettingMaxLag      = "max_lag_seconds"
	SettingFlapMinutes = "flap_minutes"

	FailoverNoLoss    = "no_loss"   // only a server that has every acknowledged write is promoted
	FailoverAvailable = "available" // the most advanced of those that can be reached
	FailoverManual    = "manual"    // farmhand failover alone
)

// Defaults of these settings; see docs of the mysql behavior.
const (
	defaultMaxLag = 10 * time.Second
	defaultFlap   = 10 * time.Minute
)

// database is the decision on a replicated role's servers while it is being made. It is a state machine whose whole state is
// state.Database: another sidecar goes on from there.
type database struct {
	*pass
	db      state.Database
	policy  string
	maxLag  time.Duration
	flap    time.Duration
	primary *member // of db.Primary and its token; nil if it has none, or its record is gone
}

// keepDatabase takes the role's database one look further. It comes after the sick are found and before anybody is ended
// or launched.
func (p *pass) keepDatabase() {
	if !p.role.Replicated || p.ending() {
		return
	}
	d := &database{pass: p, policy: FailoverNoLoss, maxLag: defaultMaxLag, flap: defaultFlap}
	d.db = copyDatabase(p.role.Database)
	d.readSettings()
	d.primary = d.holder(d.db.Primary, d.db.PrimaryToken)

	switch {
	case d.db.Failover != nil:
		d.goOn()
	case d.db.Primary == "":
		d.findFirst()
	default:
		d.watch()
	}
	d.followRestore()
	d.knowCopies()
	d.countAckers()
	d.db.Plain = d.plain()
	d.giveOrders()
	d.chooseReads()
	d.alert()
	p.database = d
}

// outcome is what is to be written, nil if nothing changed.
func (d *database) outcome() *state.Database {
	if d == nil || d.role.Database != nil && equalDatabase(*d.role.Database, d.db) {
		return nil
	}
	return &d.db
}

// copyDatabase copies what is written to: a View is never.
func copyDatabase(was *state.Database) state.Database {
	if was == nil {
		return state.Database{Lease: DatabaseLease, Orders: map[string]state.DatabaseOrder{}}
	}
	db := *was
	db.Orders, db.Ackers = maps.Clone(db.Orders), maps.Clone(db.Ackers)
	if db.Orders == nil {
		db.Orders = map[string]state.DatabaseOrder{}
	}
	if db.Failover != nil {
		f := *db.Failover
		f.History = slices.Clone(f.History)
		db.Failover = &f
	}
	if db.Suspect != nil {
		s := *db.Suspect
		db.Suspect = &s
	}
	if db.Lease <= 0 {
		db.Lease = DatabaseLease
	}
	db.Known, db.Promotions = slices.Clone(db.Known), slices.Clone(db.Promotions)
	return db
}

func (d *database) readSettings() {
	s := d.role.Spec.Settings
	d.policy = orElse(s[SettingFailover], FailoverNoLoss)
	if v, err := strconv.ParseFloat(s[SettingMaxLag], 64); err == nil && v > 0 {
		d.maxLag = time.Duration(v * float64(time.Second))
	}
	if v, err := strconv.ParseFloat(s[SettingFlapMinutes], 64); err == nil && v >= 0 {
		d.flap = time.Duration(v * float64(time.Minute))
	}
}

// holder is the present holder of a name, if its token is that one.
func (d *database) holder(name, token string) *member {
	if m := d.named(name); m != nil && m.Token == token {
		return m
	}
	return nil
}

func (d *database) named(name string) *member {
	for i := range d.members {
		if m := &d.members[i]; name != "" && m.Name() == name {
			return m
		}
	}
	return nil
}

// report is how a server stands, nil where its agent does not say.
func (m *member) report() *state.DatabaseReport {
	if m == nil || m.Report == nil {
		return nil
	}
	return m.Report.Database
}

// legacy tells that a server serves whose agent knows nothing of databases: it was set up by an older version, or is
// simulated. It does what it did, and is taken at its word.
func (m *member) legacy() bool {
	return m.Report != nil && m.Report.Database == nil && m.Report.Serving()
}

// dead tells that the machine of a server runs no more, or is on its way out, and how that shows.
func (d *database) dead(m *member) (why string, dead bool) {
	switch {
	case m == nil:
		return "its server is gone", true
	case m.Machine != nil && m.Machine.Stopped:
		return "its machine stopped: " + orElse(m.Machine.Exit, "no reason given"), true
	case d.absent(m) && m.Phase != state.Planned && (m.Phase != state.Launching || d.since(m.Since) > appearsWithin):
		return "its machine is gone from the platform", true
	case m.Machine != nil && m.Machine.Ending, m.Phase == state.Terminating, m.Phase == state.Failed:
		return "its machine is being ended", true
	}
	return "", false
}

// stopped tells that a server can write nothing any more: its machine runs no more.
func (d *database) stopped(m *member) bool {
	return m == nil || d.absent(m) || m.Machine != nil && m.Machine.Stopped
}

// fresh tells whether a server can be reached now.
func (d *database) fresh(m *member) bool {
	if m == nil || m.Report == nil || d.since(m.Report.At) > freshFor {
		return false
	}
	_, dead := d.dead(m)
	return !dead
}

// plain are the addresses of servers that were set up before there was TLS. It is their agents' word, and not the network's, that lets
// data cross it unencrypted; of an agent that said nothing yet it is not assumed.
func (d *database) plain() []string {
	var older []*member
	for i := range d.members {
		if m := &d.members[i]; m.report() != nil && !m.report().TLS && m.Address != "" && m.standing != gone {
			older = append(older, m)
		}
	}
	if len(older) > 0 && len(d.members) > 1 {
		d.hold("database:plain", warning, fmt.Sprintf("replication from %s is not encrypted, nor are clones: set up by a version without TLS. A change of the role's boot_script replaces its servers, one at a time", names(older)), nil)
	}
	addresses := make([]string, len(older))
	for i, m := range older {
		addresses[i] = m.Address
	}
	slices.Sort(addresses)
	return addresses
}

// holdsData tells whether a server that was heard of has data.
func (m *member) holdsData() bool {
	r := m.report()
	return r != nil && !r.Empty || m.legacy()
}

// done tells whether a server has carried its order out.
func (d *database) done(m *member) bool {
	o, ok := d.db.Orders[m.Name()]
	if m.legacy() {
		return true
	}
	r := m.report()
	return ok && o.Token == m.Token && r != nil && r.Done >= o.Seq
}

// others are the servers beside a name that are there and hold data, as far as is known.
func (d *database) others(name string) []*member {
	var all []*member
	for i := range d.members {
		if m := &d.members[i]; m.Name() != name && m.standing != gone && m.holdsData() {
			all = append(all, m)
		}
	}
	return all
}

// covers tells whether a position holds all of another one. What cannot be read holds nothing.
func (d *database) covers(flavor, a, b string) bool {
	ok, err := gtid.Covers(flavor, a, b)
	return err == nil && ok
}

func flavorOf(m *member) string {
	if r := m.report(); r != nil {
		return r.Flavor
	}
	return ""
}

func positionOf(m *member) string {
	if r := m.report(); r != nil {
		return r.Position
	}
	return ""
}

// known notes that a server's data is the role's.
func (d *database) known(name string) {
	if !slices.Contains(d.db.Known, name) {
		d.db.Known = append(d.db.Known, name)
		slices.Sort(d.db.Known)
	}
}

// databasePrimary is the instance that is not to leave: who takes writes, or did, or is to. "" if there is none.
func (p *pass) keepsOffice(m *member) bool {
	if !p.role.Replicated {
		return m.Primary
	}
	db := p.role.Database
	if p.database != nil {
		db = &p.database.db
	}
	if db == nil {
		return m.Primary
	}
	f := db.Failover
	return db.Primary == m.Name() || f != nil && (f.From == m.Name() || f.To == m.Name())
}

func (d *database) say(kind, level, reason, instance string) {
	d.decide(Decision{Action: Note, Instance: instance, Kind: kind, Level: level, Reason: reason})
}

func (d *database) command(flags string) string {
	id := d.role.Spec.Name
	if d.role.Spec.Farm != "" {
		id = d.role.Spec.ID()
	}
	return fmt.Sprintf("farmhand failover %s%s", id, flags)
}

func byIndex(a, b *member) int { return cmp.Compare(a.Index, b.Index) }

func names(all []*member) string {
	list := ""
	for i, m := range all {
		switch {
		case i > 0 && i == len(all)-1:
			list += " and "
		case i > 0:
			list += ", "
		}
		list += m.Name()
	}
	return list
}

// changing tells that the primary is being replaced.
func (d *database) changing() bool { return d != nil && d.db.Failover != nil }

// stays tells that a server is not to be ended now to come back in its place: it takes writes and another one could take
// over first; or it is a replica, and another one does not follow yet. A primary that is silent, but alive in the eyes of
// its replicas, is ended after all in time, and replaced as a dead one.
func (d *database) stays(m *member) bool {
	if d == nil || m.legacy() {
		return false
	}
	if m.Name() != d.db.Primary {
		if d.db.Suspect != nil {
			return true // it is a witness
		}
		return m.old && m.standing == serving && !d.settled()
	}
	switch {
	case len(d.others(m.Name())) == 0:
		return false
	case m.standing != sick:
		return true
	case d.restricted() != "":
		return false // nobody takes over, so it is healed like any other
	}
	return d.since(m.ailment.since) < unreachablePatience || len(d.hearing(m.Name())) == 0
}
