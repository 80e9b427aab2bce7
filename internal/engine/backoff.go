package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Launches that fail are repeated ever more slowly, and not without end: a broken boot script or image costs money
// and hides among its own retries.
const (
	firstRetry = 5 * time.Second
	lastRetry  = 5 * time.Minute
	// launchBudget of consecutive failures per generation: the last wait is then over a minute, and an accident (a
	// mirror away, a full disk) has had its time to pass.
	launchBudget = 5
	// forgiveAfter: an hour later the world may have changed; one more budget is tried.
	forgiveAfter = time.Hour
	// Servers that come up and die again within young are a loop too, only a slower one. A few in youngPeriod may be
	// accidents, or somebody trying out how quickly they come back; from then on the waits grow as above.
	young       = 10 * time.Second
	youngPeriod = 10 * time.Minute
	youngBudget = 10
	// printedLines of the boot are said in the events; the whole stands in the instance's failure.
	printedLines = 3
)

// launchFailed counts an instance that did not come up: once each, and instances launched side by side as one.
func (p *pass) launchFailed(m *member, f state.Failure) {
	mem := &p.memory
	if slices.Contains(mem.Counted, m.Token) {
		return
	}
	mem.Counted = append(slices.Clone(mem.Counted), m.Token)
	if m.old { // says nothing of the generation that is launched now
		return
	}
	sameWave := mem.FailedGeneration == m.Generation && !mem.FailedAt.IsZero() && m.Created.Before(mem.FailedAt)
	if mem.FailedGeneration != m.Generation {
		mem.LaunchFailures = 0
	}
	if !sameWave || mem.LaunchFailures == 0 {
		mem.LaunchFailures++
	}
	mem.FailedGeneration = m.Generation
	mem.FailedAt = p.now
	mem.FailedInstance = m.Name()
	mem.LastFailure = &f
	mem.RetryAt = p.now.Add(retryAfter(mem.LaunchFailures))
}

// retryAfter doubles from firstRetry to lastRetry.
func retryAfter(failures int) time.Duration {
	d := firstRetry
	for range failures - 1 {
		if d >= lastRetry {
			break
		}
		d *= 2
	}
	return min(d, lastRetry)
}

// diedYoung are the recent ones, in a slice of its own.
func (p *pass) diedYoung() []time.Time {
	var recent []time.Time
	for _, at := range p.memory.DiedYoung {
		if p.since(at) < youngPeriod {
			recent = append(recent, at)
		}
	}
	return recent
}

// youngRetry is when the next launch is allowed after servers that died young.
func (p *pass) youngRetry() time.Time {
	recent := p.diedYoung()
	if len(recent) <= youngBudget {
		return time.Time{}
	}
	return recent[len(recent)-1].Add(retryAfter(len(recent) - youngBudget))
}

// launchSucceeded ends the series: what it was launched from comes up after all.
func (p *pass) launchSucceeded(m *member) {
	if m.Generation == p.memory.FailedGeneration || p.memory.FailedGeneration == "" {
		p.forgive()
	}
}

func (p *pass) forgive() {
	mem := &p.memory
	mem.LaunchFailures, mem.FailedGeneration, mem.FailedInstance, mem.LastFailure = 0, "", "", nil
	mem.RetryAt, mem.FailedAt = time.Time{}, time.Time{}
}

// mayLaunch tells how many launches may be made now, at most n, and why not all.
func (p *pass) mayLaunch(n int) (allowed int, why string) {
	p.pruneCounted()
	mem := &p.memory
	if mem.LaunchFailures > 0 && (mem.FailedGeneration != p.role.Generation || p.since(mem.FailedAt) > forgiveAfter) {
		p.forgive()
	}
	if n == 0 {
		return 0, ""
	}
	switch {
	case !p.view.MachinesListed:
		return 0, "the platform could not be asked what it holds; nothing is launched until it answers"
	case mem.LaunchFailures >= launchBudget:
		until := mem.FailedAt.Add(forgiveAfter).UTC().Format("15:04 MST")
		if p.oldest() == nil { // else the roll-out says it
			p.hold("launches-stopped", failure, fmt.Sprintf("role %s does not come up: %s", p.role.Spec.Name, p.failureStory()), mem.LastFailure)
		}
		return 0, fmt.Sprintf("%s launches in a row did not come up; no more before %s", numeral(mem.LaunchFailures), until)
	case p.now.Before(mem.RetryAt):
		return 0, fmt.Sprintf("%s did not come up; the next launch is in %s", mem.FailedInstance, brief(mem.RetryAt.Sub(p.now)))
	case p.now.Before(p.youngRetry()):
		why = fmt.Sprintf("%s of role %s died within %s of serving, in the last %s; the next launch is in %s", servers(len(p.diedYoung())), p.role.Spec.Name, brief(young), brief(youngPeriod), brief(p.youngRetry().Sub(p.now)))
		p.hold("died-young", failure, why+". Look at what they printed, and at what asks them", nil)
		return 0, why
	case mem.LaunchFailures > 0: // one at a time until one comes up: a probe, not an avalanche
		if p.count(coming) > 0 {
			return 0, fmt.Sprintf("%s did not come up; one more is being tried", mem.FailedInstance)
		}
		return 1, ""
	}
	return n, ""
}

// failureStory is what is known of a series of failed launches, and the way out.
func (p *pass) failureStory() string {
	mem := &p.memory
	story := fmt.Sprintf("%s launches in a row failed, the last was %s", numeral(mem.LaunchFailures), mem.FailedInstance)
	if f := mem.LastFailure; f != nil {
		story += fmt.Sprintf(" in step %q: %s", f.Step, f.Error)
		if n := len(f.Log); n > 0 {
			story += "; it printed last: " + strings.Join(f.Log[max(0, n-printedLines):], " | ")
		}
	}
	return story + fmt.Sprintf(". Mend and apply the role, that is tried at once; as it is, it is tried again at %s", mem.FailedAt.Add(forgiveAfter).UTC().Format("15:04 MST"))
}

// pruneCounted forgets the tokens of instances that are no longer on record.
func (p *pass) pruneCounted() {
	if len(p.memory.Counted) == 0 {
		return
	}
	var kept []string
	for _, token := range p.memory.Counted {
		for i := range p.members {
			if p.members[i].Token == token && p.members[i].standing != gone {
				kept = append(kept, token)
				break
			}
		}
	}
	p.memory.Counted = kept
}

func numeral(n int) string {
	words := []string{"No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"}
	if n < len(words) {
		return strings.ToLower(words[n])
	}
	return fmt.Sprint(n)
}
