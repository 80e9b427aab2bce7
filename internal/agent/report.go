package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// reportEvery is how often a report is sent when nothing changes: the sidecar takes an agent for silent after some
// of these.
const reportEvery = 2 * time.Second

// told is what a report says, beside the time and the samples. Guarded by agent.mu.
type told struct {
	assignment state.Assignment
	boot       state.Boot
	checks     []state.Check
	revision   int64
	applyError string
	volumeUsed float64
	hook       hookAnswer
	env        map[string]string // in force
	notices    []state.Notice
	rebooting  time.Time // it is going down
	rebooted   time.Time // it went down, and this is the start after
}

// tell changes what is reported and has it sent at once.
func (a *agent) tell(change func(*told)) {
	a.mu.Lock()
	change(&a.told)
	a.mu.Unlock()
	poke(a.wake)
}

// assign takes a new assignment over, as far as it concerns a running instance: its health check, where the farm's
// names are asked for, its shutdown hook, and whether it is leaving.
func (a *agent) assign(as state.Assignment) {
	a.mu.Lock()
	changed := a.told.assignment.Draining != as.Draining
	another := a.told.assignment.Role.ShutdownHook != as.Role.ShutdownHook
	a.told.assignment = as
	a.mu.Unlock()
	a.asked.Follow(as.Measures)
	if a.names != nil {
		a.names.SetNameserver(as.Nameserver)
	}
	a.backups.Load().follow(as)
	if another {
		poke(a.rehook)
	}
	if changed || another {
		poke(a.wake)
	}
}

// assigned is the present assignment.
func (a *agent) assigned() state.Assignment {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.told.assignment
}

func (a *agent) step(name string) { a.tell(func(t *told) { t.boot.Step = name }) }
func (a *agent) failed(err error) { a.tell(func(t *told) { t.boot.Failed = err.Error() }) }

// bootDone ends the boot. The instance does not serve yet: no check has passed.
func (a *agent) bootDone() {
	a.tell(func(t *told) {
		t.boot = state.Boot{Step: "health check", Done: true}
		t.checks = []state.Check{{Name: "behavior", Since: time.Now(), Message: "not asked yet"}}
	})
}

// applied tells which topology is in force, or why a newer one is not.
func (a *agent) applied(revision int64, err error) {
	a.mu.Lock()
	before := a.told
	if err == nil {
		a.told.revision, a.told.applyError = revision, ""
	} else {
		a.told.applyError = err.Error()
	}
	changed := a.told.revision != before.revision || a.told.applyError != before.applyError
	a.mu.Unlock()
	if !changed {
		return
	}
	poke(a.wake)
	if err != nil {
		a.say("going on as before, a change was refused: %v", err)
	}
}

// reportNow puts the report together.
func (a *agent) reportNow() state.Report {
	a.mu.Lock()
	t := a.told
	checks := append([]state.Check(nil), t.checks...)
	a.mu.Unlock()
	r := state.Report{
		Instance:   a.boot.Instance,
		Token:      t.assignment.Token,
		At:         time.Now(),
		Version:    a.Version,
		Boot:       t.boot,
		Checks:     checks,
		Applied:    t.revision,
		ApplyError: t.applyError,
		Wait:       t.wait(),
		Notices:    t.notices,
		Rebooting:  t.rebooting,
		VolumeUsed: t.volumeUsed,
	}
	if t.assignment.Draining {
		r.Checks = append(r.Checks, state.Check{Name: "draining", Message: "it is leaving and finishes what it has"})
	}
	r.Database = a.databaseReport()
	r.Backup = a.backupReport()
	if a.load != nil {
		r.Samples = a.load.Samples()
		r.Unmeasured = a.asked.Problems()
	}
	if r.Rebooting.IsZero() && !r.Serving() {
		r.Rebooting = t.rebooted
	}
	if !r.Serving() {
		// Whoever waits for it should see what it printed; who has it serving need not carry that along.
		r.Boot.Log = a.lines.Last()
	}
	return r
}

// send sends a report every reportEvery and whenever one is due, until ctx ends. While the sidecar is away reports
// are lost, and the next that goes through says all there is to say.
func (a *agent) send(ctx context.Context) {
	key := state.ReportKey(a.boot.Farm, a.boot.Instance)
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	var taken <-chan struct{}
	if a.load != nil {
		taken = a.load.Taken()
	}
	away := false
	for {
		err := a.put(ctx, key)
		if ctx.Err() != nil {
			return
		}
		if (err != nil) != away {
			away = err != nil
			if away {
				a.Log.Warn("reports do not get through; going on", "error", err)
			} else {
				a.Log.Info("reports get through again")
				poke(a.reached)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-taken:
			// A report leaves with its newest sample fresh, so that a policy's window holds as many as it can.
			tick.Reset(reportEvery + reportEvery/2)
		case <-a.wake:
		}
	}
}

func (a *agent) put(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, reportEvery, fmt.Errorf("no answer within %s", spec.Duration(reportEvery)))
	defer cancel()
	report, sent := a.reportNow(), time.Now()
	_, err := store.PutJSON(ctx, a.farm, key, report)
	if err == nil {
		a.heard(sent)
	}
	return err
}
