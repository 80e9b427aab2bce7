package spec

import (
	"strings"
	"testing"
	"time"
)

// queueMetric is a metric of the whole role.
func queueMetric() *Metric {
	return &Metric{Kind: HTTPValue, HTTP: &HTTPMetric{URL: "http://queue.example/depth"}}
}

func thresholds(change func(*Threshold)) Policy {
	p := Policy{Farm: "shop", Role: "web", Name: "trigger", Metric: &Metric{Kind: CPU},
		Threshold: &Threshold{Lower: number(0.2), Upper: number(0.8)}}
	change(p.Threshold)
	p.SetDefaults()
	return p
}

func backlog(change func(*Policy)) Policy {
	p := Policy{Farm: "shop", Role: "web", Name: "queue", Metric: queueMetric(), Queue: &Queue{Backlog: 100}}
	change(&p)
	p.SetDefaults()
	return p
}

func forecast(change func(*Policy)) Policy {
	p := Policy{Farm: "shop", Role: "web", Metric: &Metric{Kind: LoadAverage}, Forecast: &Forecast{Target: 1.5}}
	change(&p)
	p.SetDefaults()
	return p
}

func weekly(change func(*Schedule)) Policy {
	p := Policy{Farm: "shop", Role: "web", Schedule: &Schedule{Days: []string{"mon", "fri"}, From: "22:00", To: "06:00", Zone: "Europe/Paris", Exact: whole(4)}}
	change(p.Schedule)
	p.SetDefaults()
	return p
}

func TestKindsValidate(t *testing.T) {
	paced := func(in *Pace) Policy { p := loadPolicy("a", 1); p.ScaleIn = in; return p }
	window := Duration(time.Minute)
	for name, c := range map[string]struct {
		policy Policy
		want   []string
	}{
		"a threshold":             {thresholds(func(*Threshold) {}), nil},
		"no line":                 {thresholds(func(t *Threshold) { t.Lower, t.Upper = nil, nil }), []string{"threshold.upper: neither"}},
		"lines that cross":        {thresholds(func(t *Threshold) { t.Lower = number(0.9); t.Upper = number(0.5) }), []string{"threshold.lower: at 0.7 servers would be added and removed"}},
		"a line out of reach":     {thresholds(func(t *Threshold) { t.Upper = number(80) }), []string{"threshold.upper: write 0.8 for 80 %"}},
		"never below":             {thresholds(func(t *Threshold) { t.Lower = number(0) }), []string{"threshold.lower: never below 0"}},
		"adds nothing":            {thresholds(func(t *Threshold) { t.UpperIncrement = -2 }), []string{"threshold.upper_increment: cannot be added"}},
		"removes by adding":       {thresholds(func(t *Threshold) { t.LowerIncrement = 1 }), []string{"threshold.lower_increment: removes nothing|-1"}},
		"breach within a period":  {thresholds(func(t *Threshold) { t.Period = Duration(time.Minute); t.BreachDuration = Duration(30 * time.Second) }), []string{"threshold.breach_duration: less than the period"}},
		"two windows":             {func() Policy { p := thresholds(func(*Threshold) {}); p.Threshold.Period *= 2; return p }(), []string{"threshold.period: the same thing"}},
		"a queue":                 {backlog(func(*Policy) {}), nil},
		"no backlog":              {backlog(func(p *Policy) { p.Queue.Backlog = 0 }), []string{"queue.backlog: 100"}},
		"a queue on each server":  {backlog(func(p *Policy) { p.Metric = &Metric{Kind: LoadAverage} }), []string{"metric: measured on each server"}},
		"a queue that is divided": {backlog(func(p *Policy) { p.Metric.Per = PerServer }), []string{"metric.per: policy itself divides it"}},
		"a life of days":          {backlog(func(p *Policy) { p.Queue.MinimumLifetime = Duration(50 * time.Hour) }), []string{"queue.minimum_lifetime: more than a day"}},
		"a forecast":              {forecast(func(*Policy) {}), nil},
		"a forecast of nothing":   {forecast(func(p *Policy) { p.Forecast.Target = 0 }), []string{"forecast.target: above zero"}},
		"a forecast on Mars":      {forecast(func(p *Policy) { p.Forecast.Zone = "Mars/Olympus" }), []string{"forecast.zone: Mars/Olympus"}},
		"a forecast of a level":   {forecast(func(p *Policy) { p.Metric = queueMetric() }), []string{"metric.per: how many servers it takes"}},
		"a week":                  {weekly(func(*Schedule) {}), nil},
		"a day that is none":      {weekly(func(s *Schedule) { s.Days = []string{"moonday"} }), []string{"schedule.days[0]: no day of the week"}},
		"a day twice":             {weekly(func(s *Schedule) { s.Days = []string{"mon", "mon"} }), []string{"schedule.days[1]: twice"}},
		"from nowhen":             {weekly(func(s *Schedule) { s.From = "8" }), []string{"schedule.from: no time of the day"}},
		"to nowhen":               {weekly(func(s *Schedule) { s.To = "25:00" }), []string{"schedule.to: no time of the day"}},
		"cron and days":           {weekly(func(s *Schedule) { s.Cron = "0 8 * * *" }), []string{"schedule.cron: beside days"}},
		"exact and min":           {weekly(func(s *Schedule) { s.Min = whole(2) }), []string{"schedule.exact: both at once"}},
		"a pace":                  {paced(&Pace{StabilizationWindow: &window, AtMost: 2, Per: window}), nil},
		"a pace of nothing":       {paced(&Pace{}), []string{"scale_in: says nothing"}},
		"a rate without time":     {paced(&Pace{AtMost: 2}), []string{"scale_in.per: in which time"}},
		"a time without rate":     {paced(&Pace{Per: window}), []string{"scale_in.at_most: how many"}},
		"a pace for a schedule":   {func() Policy { p := weekly(func(*Schedule) {}); p.ScaleOut = &Pace{AtMost: 1, Per: window}; return p }(), []string{"schedule: casts no votes"}},
	} {
		t.Run(name, func(t *testing.T) { expectAny(t, c.policy.Validate(), c.want...) })
	}
}

// expectAny is expect, where a want may hold several parts of the text, parted by "|".
func expectAny(t *testing.T, got []Problem, want ...string) {
	t.Helper()
	plainWants := make([]string, len(want))
	for i, w := range want {
		parts := strings.Split(w, "|")
		plainWants[i] = parts[0]
		for _, part := range parts[1:] {
			if i < len(got) && !strings.Contains(got[i].Error(), part) {
				t.Errorf("%s does not say %q", got[i].Error(), part)
			}
		}
	}
	expect(t, got, plainWants...)
}

// TestCalm: what would swing under a load that does not change is refused, with the case that shows it.
func TestCalm(t *testing.T) {
	role := soundRole()
	role.Min, role.Max = 1, 10
	for name, c := range map[string]struct {
		policy Policy
		want   []string
	}{
		"steps that come to rest":      {cpuSteps("s", Step{To: number(0.2), Add: -1}, Step{From: number(0.2), To: number(0.8)}, Step{From: number(0.8), Add: 2}), nil},
		"steps too far":                {cpuSteps("s", Step{To: number(0.3), Add: -1}, Step{From: number(0.3), To: number(0.8)}, Step{From: number(0.8), Add: 4}), []string{`step: policy "s" would swing: with 1 server at a cpu of 0.8 it adds 4, which brings it to 0.16, where it removes`}},
		"too far, but none is removed": {cpuSteps("s", Step{From: number(0.8), Add: 9}), nil},
		"a threshold at rest":          {thresholds(func(*Threshold) {}), nil},
		"a threshold too far":          {thresholds(func(t *Threshold) { t.UpperIncrement = 6 }), []string{`threshold.upper_increment: policy "trigger" would swing: with 1 server at a cpu of 0.8 it adds 6`}},
		"too many, the engine sees":    {thresholds(func(t *Threshold) { t.Lower = number(0.45) }), nil},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, c.policy.ValidateBeside(role, nil), c.want...)
		})
	}
	role.Min = 6 // from there on it is not too far
	expect(t, thresholds(func(t *Threshold) { t.UpperIncrement = 4 }).ValidateBeside(role, nil))
	role.ReversalsPerHour = 1
	expect(t, role.Validate(), "reversals_per_hour: could never shrink")
}

// TestWeek: windows by days and times, over midnight and over the changes of clocks.
func TestWeek(t *testing.T) {
	week := Schedule{Days: []string{"fri", "sat"}, From: "22:00", To: "06:00", Zone: "Europe/Paris"}
	for _, c := range []struct {
		s     Schedule
		at    string
		until string // empty: not active
	}{
		{week, "2026-03-27T20:59:59Z", ""}, // a Friday, 21:59:59 in Paris
		{week, "2026-03-27T21:00:00Z", "2026-03-28T05:00:00Z"},
		{week, "2026-03-28T04:59:59Z", "2026-03-28T05:00:00Z"},
		{week, "2026-03-28T05:00:00Z", ""},
		{week, "2026-03-28T22:00:00Z", "2026-03-29T04:00:00Z"}, // an hour shorter: clocks went forward
		{week, "2026-03-29T03:59:59Z", "2026-03-29T04:00:00Z"},
		{week, "2026-03-29T21:00:00Z", ""}, // Sunday
		{Schedule{Days: []string{"sat"}, From: "22:00", To: "06:00", Zone: "Europe/Paris"}, "2026-10-25T04:30:00Z", "2026-10-25T05:00:00Z"}, // an hour longer
		{Schedule{From: "00:00", To: "24:00", Days: []string{"mon", "tue"}, Zone: "UTC"}, "2026-03-02T12:00:00Z", "2026-03-04T00:00:00Z"},   // one after the other
		{Schedule{From: "08:00", To: "08:00", Days: []string{"mon"}, Zone: "UTC"}, "2026-03-03T07:59:00Z", "2026-03-03T08:00:00Z"},          // a day round
		{Schedule{Days: []string{"sun"}, From: "02:10", To: "02:50", Zone: "Europe/Paris"}, "2026-03-29T01:00:00Z", ""},                     // there was no such time
		{Schedule{Days: []string{"sun"}, From: "02:10", To: "02:50", Zone: "Europe/Paris"}, "2026-10-25T00:20:00Z", "2026-10-25T00:50:00Z"}, // there was twice: the first
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		_, until, active := c.s.Window(at)
		got := ""
		if active {
			got = until.UTC().Format(time.RFC3339)
		}
		if got != c.until {
			t.Errorf("%v from %s to %s in %s, at %s: until %q, want %q", c.s.Days, c.s.From, c.s.To, c.s.Zone, c.at, got, c.until)
		}
	}
	at := time.Date(2026, 3, 25, 12, 0, 0, 0, time.UTC)
	if next := week.Next(at).UTC().Format(time.RFC3339); next != "2026-03-27T21:00:00Z" {
		t.Errorf("begins next at %s", next)
	}
}
