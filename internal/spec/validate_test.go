package spec

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

func number(v float64) *float64 { return &v }
func whole(v int) *int          { return &v }

func soundRole() Role {
	r := Role{Farm: "shop", Name: "web", Behavior: "apache", Min: 2, Max: 6, Uses: []string{"shop/mysql"},
		Volume: &Volume{}, HealthCheck: HealthCheck{HTTP: &HTTPCheck{Path: "/healthz"}}}
	r.SetDefaults()
	return r
}

func soundFarm() Farm {
	f := Farm{Name: "shop", Sidecar: "here", Zone: "shop.internal", Docker: &Docker{Subnet: "10.99.0.0/24"}}
	f.SetDefaults()
	return f
}

func loadPolicy(name string, target float64) Policy {
	p := Policy{Farm: "shop", Role: "web", Name: name, Metric: &Metric{Kind: LoadAverage}, Target: &target}
	p.SetDefaults()
	return p
}

func cpuSteps(name string, steps ...Step) Policy {
	p := Policy{Farm: "shop", Role: "web", Name: name, Metric: &Metric{Kind: CPU}, Steps: steps}
	p.SetDefaults()
	return p
}

func scheduled(name, cron string, d time.Duration, lowest, highest *int) Policy {
	return Policy{Farm: "shop", Role: "web", Name: name, Schedule: &Schedule{Cron: cron, Zone: "Europe/Paris", Duration: Duration(d), Min: lowest, Max: highest}}
}

// expect compares problems with what is wanted of them, each "attribute: part of the text", warnings with "warning: " in front.
func expect(t *testing.T, got []Problem, want ...string) {
	t.Helper()
	var lines []string
	for _, p := range got {
		line := p.Error()
		if p.Warning {
			line = "warning: " + line
		}
		if p.Advice == "" {
			t.Errorf("%s: no way out is given", line)
		}
		lines = append(lines, line)
	}
	if len(got) != len(want) {
		t.Fatalf("%d problems, want %d:\n%s", len(got), len(want), strings.Join(lines, "\n"))
	}
	for i, w := range want {
		attribute, text, _ := strings.Cut(w, ": ")
		if strings.HasPrefix(w, "warning: ") {
			rest := strings.TrimPrefix(w, "warning: ")
			attribute, text, _ = strings.Cut(rest, ": ")
			attribute = "warning: " + attribute
		}
		if !strings.HasPrefix(lines[i], attribute+": ") || !strings.Contains(lines[i], text) {
			t.Errorf("problem %d is\n  %s\nwant it at %s with %q", i+1, lines[i], attribute, text)
		}
	}
}

func TestDefaultsAreSound(t *testing.T) {
	expect(t, soundFarm().Validate())
	expect(t, soundRole().Validate())
	expect(t, loadPolicy("load", 1.5).Validate())
	f := Farm{Name: "shop", Zone: "shop.internal", Simulated: &Simulated{}}
	f.SetDefaults()
	expect(t, f.Validate())
	d := DNSRecord{Farm: "shop", Name: "db", Role: "mysql"}
	d.SetDefaults()
	expect(t, d.Validate())
	expect(t, Application{Name: "site"}.Validate())
	expect(t, scheduled("day", "0 8 * * 1-5", 10*time.Hour, whole(4), nil).Validate())
}

func TestFarmValidate(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Farm)
		want   string
	}{
		"no name":          {func(f *Farm) { f.Name = "" }, "name: is empty"},
		"upper case":       {func(f *Farm) { f.Name = "Shop" }, "name: host name"},
		"long name":        {func(f *Farm) { f.Name = strings.Repeat("a", 64) }, "name: 64 characters"},
		"zone with a dot":  {func(f *Farm) { f.Zone = "shop.internal." }, "zone: ends in a dot"},
		"one label":        {func(f *Farm) { f.Zone = "internal" }, "zone: top-level"},
		"long zone":        {func(f *Farm) { f.Zone = strings.Repeat("ab.", 50) + "internal" }, "zone: leave no room"},
		"slow tick":        {func(f *Farm) { f.Tick = Duration(time.Hour) }, "tick: between"},
		"no platform":      {func(f *Farm) { f.Docker = nil }, "docker: no platform"},
		"two platforms":    {func(f *Farm) { f.Simulated = &Simulated{} }, "simulated: both"},
		"no subnet":        {func(f *Farm) { f.Docker.Subnet = "10.99.0.0" }, "docker.subnet: not a subnet"},
		"host in a subnet": {func(f *Farm) { f.Docker.Subnet = "10.99.0.7/24" }, "docker.subnet: 10.99.0.0/24"},
		"IPv6":             {func(f *Farm) { f.Docker.Subnet = "fd00::/64" }, "docker.subnet: IPv4"},
		"tiny subnet":      {func(f *Farm) { f.Docker.Subnet = "10.99.0.0/30" }, "docker.subnet: 4 addresses"},
		"public subnet":    {func(f *Farm) { f.Docker.Subnet = "8.8.8.0/24" }, "warning: docker.subnet: private"},
		"blank image":      {func(f *Farm) { f.Docker.Image = " x" }, "docker.image: image"},
		"share above one": {func(f *Farm) {
			f.Docker = nil
			f.Simulated = &Simulated{Subnet: "10.0.0.0/24", FailLaunches: 20}
		}, "simulated.fail_launches: from 0 to 1"},
	} {
		t.Run(name, func(t *testing.T) {
			f := soundFarm()
			c.change(&f)
			expect(t, f.Validate(), c.want)
		})
	}
}

func TestRoleValidate(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Role)
		want   string
	}{
		"min above max":      {func(r *Role) { r.Min = 7 }, "min: min 7 is greater than max 6"},
		"negative":           {func(r *Role) { r.Min = -1 }, "min: negative"},
		"too many":           {func(r *Role) { r.Max = 4000 }, "max: 4000"},
		"long name":          {func(r *Role) { r.Name = strings.Repeat("a", 60) }, "name: 60 characters"},
		"timeout too long":   {func(r *Role) { r.HealthCheck.Timeout = Duration(time.Minute) }, "health_check.timeout: longer than interval"},
		"no interval":        {func(r *Role) { r.HealthCheck.Interval, r.HealthCheck.Timeout = 0, 0 }, "health_check.interval: is zero|health_check.timeout: is zero"},
		"relative page":      {func(r *Role) { r.HealthCheck.HTTP.Path = "healthz" }, "health_check.http.path: slash"},
		"port":               {func(r *Role) { r.HealthCheck.TCP = &TCPCheck{Port: 70000} }, "health_check.tcp.port: 70000"},
		"never unhealthy":    {func(r *Role) { r.HealthCheck.UnhealthyAfter = -1 }, "health_check.unhealthy_after: counted"},
		"silent too soon":    {func(r *Role) { r.HealthCheck.SilentAfter = Duration(time.Second) }, "health_check.silent_after: two of the agent's reports"},
		"negative grace":     {func(r *Role) { r.HealthCheck.Grace = -1 }, "health_check.grace: negative"},
		"a day's drain":      {func(r *Role) { r.Drain = Duration(48 * time.Hour) }, "drain: more than a day"},
		"victims":            {func(r *Role) { r.ScaleIn = "random" }, "scale_in: random"},
		"relative volume":    {func(r *Role) { r.Volume.Path = "data" }, "volume.path: absolute"},
		"volume over etc":    {func(r *Role) { r.Volume.Path = "/etc" }, "volume.path: hide"},
		"dotted volume":      {func(r *Role) { r.Volume.Path = "/srv/../etc" }, "volume.path: /etc"},
		"volume's end":       {func(r *Role) { r.Volume.OnDestroy = "maybe" }, "volume.on_destroy: delete"},
		"uses itself":        {func(r *Role) { r.Uses = []string{"shop/web"} }, "uses[0]: itself"},
		"uses another farm":  {func(r *Role) { r.Uses = []string{"other/web"} }, "uses[0]: another farm"},
		"uses twice":         {func(r *Role) { r.Uses = append(r.Uses, "shop/mysql") }, "uses[1]: twice"},
		"uses a name":        {func(r *Role) { r.Uses = []string{"mysql"} }, "uses[0]: id of a role"},
		"variable":           {func(r *Role) { r.Environment = map[string]string{"A B": "x"} }, "environment[\"A B\"]: variable"},
		"secret and plain":   {func(r *Role) { r.Environment, r.Secrets = map[string]string{"KEY": "x"}, []string{"KEY"} }, "secrets[\"KEY\"]: as well"},
		"no launch timeout":  {func(r *Role) { r.LaunchTimeout = 0 }, "launch_timeout: is zero"},
		"no hook timeout":    {func(r *Role) { r.ShutdownHookTimeout = 0 }, "shutdown_hook_timeout: is zero"},
		"a hook of blanks":   {func(r *Role) { r.ShutdownHook = " \n" }, "shutdown_hook: blanks"},
		"behavior's name":    {func(r *Role) { r.Behavior = "" }, "behavior: is empty"},
		"zero byte in value": {func(r *Role) { r.Environment = map[string]string{"A": "\x00"} }, "environment[\"A\"]: zero byte"},
	} {
		t.Run(name, func(t *testing.T) {
			r := soundRole()
			c.change(&r)
			expect(t, r.Validate(), strings.Split(c.want, "|")...)
		})
	}
}

func TestRoom(t *testing.T) {
	f := soundFarm()
	f.Docker.Subnet = "10.99.0.0/28"
	if n := Addresses(f.Docker.Subnet); n != 5 {
		t.Errorf("a /28 has room for %d, want 5 (.10 to .14)", n)
	}
	if n := Addresses("10.99.0.0/24"); n != 245 {
		t.Errorf("a /24 has room for %d, want 245 (.10 to .254)", n)
	}
	expect(t, f.ValidateRoom([]Role{{Max: 4}}))
	expect(t, f.ValidateRoom([]Role{{Max: 4}, {Max: 1}}), "docker.subnet: room for 5 instances")
}

func TestPolicyValidate(t *testing.T) {
	steps := func(s ...Step) Policy { return cpuSteps("cpu", s...) }
	cpu := func(target float64) Policy {
		p := Policy{Farm: "shop", Role: "web", Metric: &Metric{Kind: CPU}, Target: &target}
		p.SetDefaults()
		return p
	}
	for name, c := range map[string]struct {
		policy Policy
		want   []string
	}{
		"no kind":               {Policy{Farm: "shop", Role: "web", Name: "x"}, []string{"target: neither"}},
		"two kinds":             {func() Policy { p := loadPolicy("a", 1); p.Schedule = &Schedule{}; return p }(), []string{"schedule: several kinds at once: target and schedule"}},
		"no metric":             {Policy{Farm: "shop", Role: "web", Name: "x", Target: number(1)}, []string{"metric: nothing to measure"}},
		"load of zero":          {loadPolicy("a", 0), []string{"target: never be met"}},
		"load below zero":       {loadPolicy("a", -1), []string{"target: never be met"}},
		"NaN":                   {loadPolicy("a", math.NaN()), []string{"target: no number"}},
		"CPU in per cent":       {cpu(70), []string{"target: write 0.7 for 70 %"}},
		"CPU of one":            {cpu(1), []string{"target: never be exceeded"}},
		"CPU within tolerance":  {cpu(0.995), []string{"target: never be exceeded"}},
		"CPU that works":        {cpu(0.7), nil},
		"minutes":               {func() Policy { p := loadPolicy("a", 1); p.Metric.Minutes = 10; return p }(), []string{"metric.load_average.minutes: over 10 minutes"}},
		"window of one sample":  {func() Policy { p := loadPolicy("a", 1); p.Metric.Window = Duration(time.Second); return p }(), []string{"metric.window: two samples"}},
		"tolerance":             {func() Policy { p := loadPolicy("a", 1); p.Tolerance = 10; return p }(), []string{"tolerance: 0.1 for ten per cent"}},
		"cooldown":              {func() Policy { p := loadPolicy("a", 1); p.Cooldown = -1; return p }(), []string{"cooldown: negative"}},
		"sound bands":           {steps(Step{To: number(0.2), Add: -1}, Step{From: number(0.2), To: number(0.7)}, Step{From: number(0.7), Add: 2}), nil},
		"bands overlap":         {steps(Step{To: number(0.3), Add: -1}, Step{From: number(0.2), Add: 1}), []string{"step[1].from: at 0.2 both"}},
		"bands leave a hole":    {steps(Step{To: number(0.25), Add: -1}, Step{From: number(0.75), Add: 1}), []string{"step[1].from: at 0.5 none holds"}},
		"higher adds less":      {steps(Step{From: number(0.5), To: number(0.8), Add: 3}, Step{From: number(0.8), Add: 1}), []string{"step[1].add: more load would get fewer"}},
		"top is closed":         {steps(Step{From: number(0.5), To: number(0.8), Add: 3}), []string{"step[0].to: more load would get fewer"}},
		"bottom is closed":      {steps(Step{From: number(0.1), To: number(0.2), Add: -1}, Step{From: number(0.2), Add: 1}), []string{"step[0].from: less load would get more"}},
		"empty band":            {steps(Step{From: number(0.8), To: number(0.5), Add: 3}), []string{"step[0].to: is empty"}},
		"band out of reach":     {steps(Step{From: number(80), Add: 3}), []string{"step[0].from: write 0.8 for 80 %"}},
		"bands that do nothing": {steps(Step{From: number(0.5)}), []string{"step: adds or removes"}},
		"zone": {func() Policy {
			p := scheduled("a", "0 8 * * *", time.Hour, whole(1), nil)
			p.Schedule.Zone = "Mars/Olympus"
			return p
		}(), []string{"schedule.zone: Mars/Olympus"}},
		"machine's own zone": {func() Policy {
			p := scheduled("a", "0 8 * * *", time.Hour, whole(1), nil)
			p.Schedule.Zone = "Local"
			return p
		}(), []string{"schedule.zone: depends on the machine"}},
		"no cron":             {scheduled("a", "whenever", time.Hour, whole(1), nil), []string{"schedule.cron: 1 fields"}},
		"seconds":             {scheduled("a", "0 0 8 * * *", time.Hour, whole(1), nil), []string{"schedule.cron: 6 fields"}},
		"zone within cron":    {scheduled("a", "TZ=UTC", time.Hour, whole(1), nil), []string{"schedule.cron: attribute of its own"}},
		"hour 25":             {scheduled("a", "0 25 * * *", time.Hour, whole(1), nil), []string{"schedule.cron: above maximum"}},
		"30 February":         {scheduled("a", "0 0 30 2 *", time.Hour, whole(1), nil), []string{"schedule.cron: never fires"}},
		"no duration":         {scheduled("a", "0 8 * * *", 0, whole(1), nil), []string{"schedule.duration: never be active"}},
		"seconds of duration": {scheduled("a", "0 8 * * *", 10*time.Second, whole(1), nil), []string{"warning: schedule.duration: over before"}},
		"changes nothing":     {scheduled("a", "0 8 * * *", time.Hour, nil, nil), []string{"schedule.min: neither"}},
		"min above max":       {scheduled("a", "0 8 * * *", time.Hour, whole(3), whole(2)), []string{"schedule.min: greater"}},
	} {
		t.Run(name, func(t *testing.T) { expect(t, c.policy.Validate(), c.want...) })
	}
}

func TestPoliciesTogether(t *testing.T) {
	role := soundRole()
	outOnly := cpuSteps("cpu", Step{From: number(0.8), Add: 2})
	for name, c := range map[string]struct {
		policies []Policy
		want     []string
	}{
		"none":                   {nil, nil},
		"one":                    {[]Policy{loadPolicy("load", 1.5)}, nil},
		"same name":              {[]Policy{loadPolicy("a", 1.5), scheduled("a", "0 8 * * *", time.Hour, whole(3), nil)}, []string{"name: two policies of the name"}},
		"two targets":            {[]Policy{loadPolicy("a", 1), loadPolicy("b", 3)}, []string{`target: policies "a" (target 1) and "b" (target 3) contradict each other: at a load average over 1 min of 1.855`}},
		"the same target twice":  {[]Policy{loadPolicy("a", 1), loadPolicy("b", 1)}, []string{"target: both set a target"}},
		"targets of two metrics": {[]Policy{loadPolicy("a", 1), func() Policy { p := loadPolicy("b", 3); p.Metric.Minutes = 15; return p }()}, nil},
		"step adds where the target removes": {[]Policy{
			cpuSteps("steps", Step{From: number(0.3), Add: 2}),
			func() Policy {
				p := loadPolicy("target", 0.6)
				p.Metric = &Metric{Kind: CPU, Window: DefaultWindow}
				return p
			}(),
		}, []string{`target: policies "steps" (steps) and "target" (target 0.6) contradict each other: at a cpu of 0.42`}},
		"step helps the target": {[]Policy{
			cpuSteps("steps", Step{From: number(0.9), Add: 4}),
			func() Policy {
				p := loadPolicy("target", 0.6)
				p.Metric = &Metric{Kind: CPU, Window: DefaultWindow}
				return p
			}(),
		}, nil},
		"steps against steps": {[]Policy{
			cpuSteps("a", Step{To: number(0.6), Add: -1}, Step{From: number(0.6), Add: 0}),
			cpuSteps("b", Step{From: number(0.5), Add: 1}),
		}, []string{"step: at a cpu of 0.55"}},
		"only ever out":            {[]Policy{outOnly}, []string{"warning: step: never remove one"}},
		"schedule outside":         {[]Policy{scheduled("a", "0 8 * * *", time.Hour, whole(9), nil)}, []string{"schedule.min: goes from 2 to 6"}},
		"schedules at one time":    {[]Policy{scheduled("a", "0 8 * * *", 4*time.Hour, whole(5), nil), scheduled("b", "0 10 * * 1", time.Hour, nil, whole(3))}, []string{"schedule: at 10:00 CET on Monday 1 January the first demands at least 5 servers and the second allows 3"}},
		"schedules one by another": {[]Policy{scheduled("a", "0 8 * * *", 2*time.Hour, whole(5), nil), scheduled("b", "0 10 * * 1", time.Hour, nil, whole(3))}, nil},
	} {
		t.Run(name, func(t *testing.T) { expect(t, ValidatePolicies(role, c.policies), c.want...) })
	}
	role.Min = 0
	expect(t, ValidatePolicies(role, []Policy{loadPolicy("a", 1)}), "metric: never leave zero")
	expect(t, ValidatePolicies(role, []Policy{loadPolicy("a", 1), scheduled("b", "0 8 * * *", time.Hour, whole(1), nil)}))
	role.Min = 6
	expect(t, ValidatePolicies(role, []Policy{loadPolicy("a", 1)}), "warning: target: can change nothing")
}

func TestDNSRecordAndApplicationValidate(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*DNSRecord)
		want   string
	}{
		"dotted":         {func(d *DNSRecord) { d.Name = "db." }, "name: within a zone"},
		"no index":       {func(d *DNSRecord) { d.PointsTo = PointsToIndex }, "index: count from 1"},
		"needless index": {func(d *DNSRecord) { d.Index = 2 }, "index: no meaning"},
		"nowhere":        {func(d *DNSRecord) { d.PointsTo = "moon" }, "points_to: moon"},
		"half a second":  {func(d *DNSRecord) { d.TTL = Duration(1500 * time.Millisecond) }, "ttl: whole number of seconds"},
		"no ttl":         {func(d *DNSRecord) { d.TTL = 0 }, "ttl: between"},
	} {
		t.Run(name, func(t *testing.T) {
			d := DNSRecord{Farm: "shop", Name: "db", Role: "mysql"}
			d.SetDefaults()
			c.change(&d)
			expect(t, d.Validate(), c.want)
		})
	}
	expect(t, DNSRecord{Farm: "shop", Name: "*._tcp.db", Role: "mysql", PointsTo: PointsToAll, TTL: DefaultTTL}.Validate())
	expect(t, Application{Name: "site", Release: "abc"}.Validate(), "release: SHA-256")
	expect(t, Application{Name: "site", DocumentRoot: "../etc"}.Validate(), "document_root: inside the application")
}

// TestStoredFormStays: what older versions wrote is read, and comes out as it went in.
func TestStoredFormStays(t *testing.T) {
	p := loadPolicy("load", 1.5)
	p.Schedule = nil
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"farm":"shop","role":"web","name":"load","metric":{"kind":"load_average","minutes":1,"window":"7s"},"target":1.5,"cooldown":"5m0s","tolerance":0.1}`
	if string(b) != want {
		t.Errorf("stored as\n%s\nwant\n%s", b, want)
	}
	var back Policy
	if err := json.Unmarshal(b, &back); err != nil || back.Cooldown != p.Cooldown {
		t.Errorf("read back as %+v, %v", back, err)
	}
	for text, want := range map[string]string{"90s": "1m30s", "3600s": "1h", "1h30m": "1h30m", "0s": "0s", "1h1s": "1h0m1s"} {
		d, err := ParseDuration(text)
		if err != nil || d.String() != want {
			t.Errorf("%s reads as %s, %v, want %s", text, d, err, want)
		}
	}
	for _, text := range []string{"5", "", "-3s", "five"} {
		if _, err := ParseDuration(text); err == nil {
			t.Errorf("%q is taken for a duration", text)
		}
	}
}
