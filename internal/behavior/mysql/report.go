package mysql

import (
	"context"
	"net"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

const (
	// pollEvery is how often the server is looked at; the farm decides by what is seen.
	pollEvery = 250 * time.Millisecond
	// lookTime is how long a look may take; a server that does not answer so long is told of.
	lookTime = time.Second
	// lostAfter is how long a source may say nothing before a replica takes it for gone: three heartbeats.
	lostAfter = 3 * time.Second
	// diskEvery is how often the disk is measured.
	diskEvery = 30 * time.Second
)

// carried is the last order that was carried out.
type carried struct {
	seq, term int64
	office    state.DatabaseOffice
	ever      bool // some order was, in this life
}

// view is what was last seen of the server. Guarded by runner.mu.
type view struct {
	doing, err, diverged string
	trouble              string // that holds up what is done

	status  dbserver.Status
	known   bool   // status means something
	silent  string // why the server does not answer
	flavor  string
	version string

	heard     time.Time // when anything last came from the source
	connected bool      // something came since it was followed
	marks     []seen    // positions received, oldest first, that are not known to be applied
	lag       float64
	lagKnown  bool

	used     float64
	bytes    int64
	measured time.Time
}

// seen is a position and when it was first seen to be received.
type seen struct {
	position string
	at       time.Time
}

// poll looks at the server until ctx ends, and hints at once at what the farm should know.
func (r *runner) poll(ctx context.Context) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var before state.DatabaseReport
	for {
		r.lookAt(ctx)
		now := r.DatabaseReport(ctx)
		if noteworthy(before) != noteworthy(now) {
			poke(r.changed)
		}
		before = now
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-r.look:
		}
	}
}

// note is what is told at once.
type note struct {
	done, term                                                int64
	writable, empty, drained, receiving, applying, lost, acks bool
	errored, waiting                                          bool
	source, diverged, restoreFailed                           string
	semiSync                                                  int
}

func noteworthy(d state.DatabaseReport) note {
	return note{d.Done, d.Term, d.Writable, d.Empty, d.Drained, d.Receiving, d.Applying, d.Lost, d.Acks,
		d.Error != "", d.Waiting, d.Source, d.Diverged, d.RestoreFailed, d.SemiSync}
}

// lookAt takes one look.
func (r *runner) lookAt(ctx context.Context) {
	s := r.db()
	var st dbserver.Status
	var err error
	if s != nil {
		look, cancel := context.WithTimeout(ctx, lookTime)
		st, err = s.Status(look)
		cancel()
	}
	now := time.Now()
	r.mu.Lock()
	v := &r.view
	measure := now.Sub(v.measured) > diskEvery
	switch {
	case s == nil:
		v.known, v.silent = false, ""
	case err != nil:
		v.silent = err.Error()
	default:
		v.see(st, now, s)
	}
	r.mu.Unlock()
	if measure {
		used, bytes := r.volume.used(), r.volume.size()
		r.mu.Lock()
		v.used, v.bytes, v.measured = used, bytes, now
		r.mu.Unlock()
	}
}

// see takes a status over.
func (v *view) see(st dbserver.Status, now time.Time, s dbserver.Server) {
	if !v.known || st.Source != v.status.Source {
		v.heard, v.connected, v.marks = now, false, nil
	} else if st.Traffic != v.status.Traffic {
		v.heard, v.connected = now, v.connected || st.Receiving
	}
	if !st.Receiving {
		v.connected = false
	}
	v.status, v.known, v.silent = st, true, ""
	v.flavor, v.version = s.Flavor(), s.Version()
	v.lag, v.lagKnown = v.behind(now)
}

// behind is the age of the oldest position that was received and is not applied, or what the server says if that is
// more: it knows from the time of the transactions what was there before anybody looked. It is not known before something
// came from the source, since then everything received is applied, whatever there is to come.
func (v *view) behind(now time.Time) (float64, bool) {
	st := v.status
	if st.Source == "" || !v.connected || now.Sub(v.heard) > lostAfter {
		return 0, false
	}
	if st.CaughtUp {
		v.marks = nil
		return 0, true
	}
	if len(v.marks) == 0 || v.marks[len(v.marks)-1].position != st.Received {
		v.marks = append(v.marks, seen{st.Received, now})
	}
	// What is applied need not be remembered, nor every look of the last minutes.
	for len(v.marks) > 1 && (dbserver.Holds(st.Position, v.marks[0].position) || len(v.marks) > 1200) {
		v.marks = v.marks[1:]
	}
	return max(now.Sub(v.marks[0].at).Seconds(), st.Behind), true
}

// DatabaseReport implements behavior.DatabaseReporter.
func (r *runner) DatabaseReport(context.Context) state.DatabaseReport {
	empty, dead := r.isEmpty(), r.dead()
	r.mu.Lock()
	defer r.mu.Unlock()
	v, st := r.view, r.view.status
	d := state.DatabaseReport{
		Flavor: v.flavor, Version: v.version, Done: r.carried.seq, Term: r.carried.term, Doing: v.doing, Error: v.err,
		TLS: true, Empty: empty, Diverged: v.diverged, DiskUsed: v.used, Bytes: v.bytes,
	}
	if d.RestoreFailed = r.restoreFailed.task; d.RestoreFailed != "" { // what went wrong before that is not its reason
		d.Error = r.restoreFailed.why
	}
	d.RestoreTransient = d.RestoreFailed != "" && r.restoreFailed.transient
	if n := r.restoreNote; n.text != "" {
		d.RestoreNoted, d.RestoreNote = n.task, n.text
	}
	if v.trouble != "" {
		d.Doing += ": " + v.trouble
	}
	if d.Flavor == "" {
		d.Flavor = r.flavor.name()
	}
	switch {
	case dead != nil:
		d.Error = dead.Error()
		d.Done = 0
		return d
	case v.silent != "":
		d.Error = "the server does not answer: " + v.silent
	}
	if !v.known {
		return d
	}
	d.Writable = st.Writable
	d.Position, d.Received = st.Position, st.Received
	d.SemiSync, d.Waiting = st.Clients, st.Waiting > 0
	if !st.SemiSync {
		d.SemiSync = 0
	}
	d.Drained = r.carried.office == state.OfficeDrain && r.carried.seq != 0 && !st.Receiving && !st.Connecting && st.CaughtUp
	if st.Source == "" {
		return d
	}
	d.Source, d.Receiving, d.Applying, d.Acks = hostOf(st.Source), st.Receiving, st.Applying, st.Acks && st.Receiving
	d.ReplicaNote = st.ApplyError
	if d.ReplicaNote == "" {
		d.ReplicaNote = st.ReceiveError
	}
	d.Lag, d.LagKnown = v.lag, v.lagKnown
	d.Heard = time.Since(v.heard).Seconds()
	d.Lost = !st.Receiving || time.Since(v.heard) > lostAfter
	return d
}

// DatabaseChanged implements behavior.DatabaseReporter.
func (r *runner) DatabaseChanged() <-chan struct{} { return r.changed }

func (r *runner) doing(what string) {
	r.mu.Lock()
	r.view.doing = what
	r.mu.Unlock()
}

// troubled tells what holds up what is done, "" when it is over.
func (r *runner) troubled(why string) {
	r.mu.Lock()
	r.view.trouble = why
	r.mu.Unlock()
}

func (r *runner) setDiverged(why string) {
	r.mu.Lock()
	changed := r.view.diverged != why
	r.view.diverged = why
	r.mu.Unlock()
	if changed {
		if why != "" {
			r.say("the server has diverged: %s", why)
		}
		poke(r.look)
	}
}

func (r *runner) failed(err error) {
	said := ""
	if err != nil {
		said = err.Error()
	}
	r.mu.Lock()
	changed := r.view.err != said
	r.view.err = said
	r.mu.Unlock()
	if changed {
		if err != nil {
			r.say("%v", err)
		}
		poke(r.look)
	}
}

// done notes that an order is carried out. What the server looks like is looked at before anybody is told.
func (r *runner) done(order state.DatabaseOrder) {
	look, cancel := context.WithTimeout(context.Background(), lookTime)
	r.lookAt(look)
	cancel()
	r.mu.Lock()
	r.carried = carried{order.Seq, order.Term, order.Office, true}
	r.mu.Unlock()
	poke(r.look)
}

func (r *runner) isDone(order state.DatabaseOrder) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.carried.seq == order.Seq && r.carried.office == order.Office && r.carried.term == order.Term
}

// forget makes the present order one that is still to be carried out.
func (r *runner) forget() {
	r.mu.Lock()
	r.carried.seq = 0
	r.mu.Unlock()
}

// hostOf is an address without its port: orders and the topology know servers by that.
func hostOf(source string) string {
	if host, _, err := net.SplitHostPort(source); err == nil {
		return host
	}
	return source
}
