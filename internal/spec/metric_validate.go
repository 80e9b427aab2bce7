package spec

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	// maxAskedWindow is how far back the sidecar keeps what it asked for.
	maxAskedWindow = Duration(6 * time.Hour)
	// minEvery: what is asked more often is asked by the agents.
	minEvery = Duration(2 * time.Second)
	maxEvery = Duration(time.Hour)
	// maxCommandTimeout: longer than that the samples of a minute would be too few.
	maxCommandTimeout = Duration(15 * time.Second)
	maxQuery          = 4096
)

// Percentile reads "p95" as 95; ok is false if s is no percentile.
func Percentile(s string) (percent float64, ok bool) {
	if !percentile.MatchString(s) {
		return 0, false
	}
	percent, err := strconv.ParseFloat(s[1:], 64)
	return percent, err == nil && percent > 0 && percent < 100
}

var percentile = regexp.MustCompile(`^p[0-9]{1,2}(\.[0-9]{1,2})?$`)

// cloudWatchStat are CloudWatch's statistics, percentiles and trimmed means included.
var cloudWatchStat = regexp.MustCompile(`^(Average|Sum|Minimum|Maximum|SampleCount|IQM|(p|tm|wm|tc|ts)[0-9]{1,2}(\.[0-9]{1,10})?)$`)

var region = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)

func (m Metric) validate(c *checker) {
	switch m.Kind {
	case LoadAverage:
		if m.Minutes != 1 && m.Minutes != 5 && m.Minutes != 15 {
			c.wrong("metric.load_average.minutes", fmt.Sprintf("there is no load average over %d minutes", m.Minutes), "Write 1, 5 or 15")
		}
	case CPU, MemoryFree, BusyWorkers, ResponseTime, QueueDepth:
	case Bandwidth:
		if m.needs(c, m.Bandwidth != nil) && m.Bandwidth.Direction != Inward && m.Bandwidth.Direction != Outward {
			c.wrong("metric.bandwidth.direction", fmt.Sprintf("%q is no direction", m.Bandwidth.Direction), "Write in or out")
		}
	case RequestsPerSecond:
		if m.needs(c, m.Requests != nil) && m.Requests.At != AtServer && m.Requests.At != AtBalancer {
			c.wrong("metric.requests_per_second.at", fmt.Sprintf("requests are not counted at %q", m.Requests.At), "Write server or balancer")
		}
	case FileValue:
		if m.needs(c, m.File != nil) && (!path.IsAbs(m.File.Path) || strings.ContainsAny(m.File.Path, "\x00\n")) {
			c.wrong("metric.file.path", fmt.Sprintf("%q is not the whole path of a file on the server", m.File.Path), `Write it from the root, as in "/run/app/backlog"`)
		}
	case CommandValue:
		if m.needs(c, m.Command != nil) {
			m.Command.validate(c)
		}
	case HTTPValue:
		if m.needs(c, m.HTTP != nil) {
			c.webAddress("metric.http.url", m.HTTP.URL)
			if len(m.HTTP.Select) > maxQuery || strings.ContainsAny(m.HTTP.Select, "\x00\n") {
				c.wrong("metric.http.select", "is not a path into JSON", `Write one as in "queue.length" or "workers.#(name==\"mail\").waiting"`)
			}
		}
	case SQLValue:
		if m.needs(c, m.SQL != nil) {
			m.SQL.validate(c)
		}
	case PrometheusValue:
		if m.needs(c, m.Prometheus != nil) {
			c.webAddress("metric.prometheus.url", m.Prometheus.URL)
			if strings.Contains(m.Prometheus.URL, "/api/v1") {
				c.wrong("metric.prometheus.url", "names a call, not the server", `Leave out what comes from "/api/v1" on`)
			}
			c.query("metric.prometheus.query", m.Prometheus.Query)
		}
	case SQSQueue:
		if m.needs(c, m.SQS != nil) {
			m.SQS.validate(c)
		}
	case CloudWatch:
		if m.needs(c, m.CloudWatch != nil) {
			m.CloudWatch.validate(c)
		}
	case "":
		c.wrong("metric", "nothing is measured", "Write one kind, as in metric = { load_average = { minutes = 1 } } or metric = { cpu = {} }")
	default:
		c.wrong("metric", fmt.Sprintf("%q is not measured", m.Kind), "Write load_average or cpu, or another of the kinds that the documentation lists")
	}
	m.validateStatistic(c)
	m.validateTimes(c)
	switch {
	case m.Origin() == OnServer && m.Per != "":
		c.wrong("metric.per", fmt.Sprintf("the %s is measured on each server already", m.words()), "Remove it")
	case m.Origin() != OnServer && m.Per != PerServer && m.Per != PerRole:
		c.wrong("metric.per", fmt.Sprintf("%q is neither server nor role", m.Per), "Write server for a total that the servers share, role for a level that the role has")
	case m.Kind == ResponseTime && m.Per == PerServer:
		c.wrong("metric.per", "a response time is nothing that servers share: half of it is not what one of two servers takes", "Remove it")
	}
}

func (m Metric) needs(c *checker, set bool) bool {
	if !set {
		c.wrong("metric."+m.Kind, "is empty", "Write what is to be measured")
	}
	return set
}

func (m Metric) validateStatistic(c *checker) {
	const advice = "Write avg, min, max, sum, or a percentile such as p95"
	_, isPercentile := Percentile(m.Statistic)
	switch {
	case m.Statistic == "", m.Statistic == "avg", m.Statistic == "min", m.Statistic == "max", isPercentile:
	case m.Statistic != "sum":
		c.wrong("metric.statistic", fmt.Sprintf("%q is no statistic", m.Statistic), advice)
	case m.highest() == 1:
		c.wrong("metric.statistic", fmt.Sprintf("the sum of a %s over time means nothing: it is a share", m.words()), "Write avg, min, max, or a percentile such as p95")
	case m.Kind == ResponseTime || m.Kind == LoadAverage:
		c.wrong("metric.statistic", fmt.Sprintf("the sum of the %s over time means nothing", Metric{Kind: m.Kind, Minutes: m.Minutes, Statistic: "avg"}.words()), "Write avg, min, max, or a percentile such as p95")
	}
}

func (m Metric) validateTimes(c *checker) {
	if m.Origin() != AskedElsewhere {
		if m.Window < MinWindow || m.Window > MaxWindow {
			c.wrong("metric.window", fmt.Sprintf("%s is not between %s, which holds two samples, and %s, which is as far back as reports go", m.Window, MinWindow, MaxWindow), "Leave it out for the default")
		}
		if m.Every != 0 {
			c.wrong("metric.every", "servers and balancers are measured every two seconds", "Remove it")
		}
		return
	}
	if m.Every < minEvery || m.Every > maxEvery {
		c.wrong("metric.every", fmt.Sprintf("%s is not between %s and %s", m.Every, minEvery, maxEvery), "Leave it out for the default")
		return
	}
	if least := 2*m.Every + m.late(); m.Window < least || m.Window > maxAskedWindow {
		why := fmt.Sprintf("which holds two answers when it is asked every %s", m.Every)
		if m.late() > 0 {
			why += fmt.Sprintf(" and CloudWatch is up to %s behind", m.late())
		}
		c.wrong("metric.window", fmt.Sprintf("%s is not between %s, %s, and %s", m.Window, least, why, maxAskedWindow), "Leave it out for the default")
	}
	if m.CloudWatch != nil && m.Window < 2*m.CloudWatch.Period+m.late() {
		c.wrong("metric.window", fmt.Sprintf("%s does not hold two periods of %s: CloudWatch is up to %s behind", m.Window, m.CloudWatch.Period, m.late()), "Leave it out for the default")
	}
}

func (m CommandMetric) validate(c *checker) {
	switch {
	case len(m.Argv) == 0 || m.Argv[0] == "":
		c.wrong("metric.command.argv", "names no program", `Write the program and its arguments, as in ["/usr/local/bin/backlog", "--mail"]`)
	case strings.ContainsAny(m.Argv[0], " \t|;&<>"):
		c.wrong("metric.command.argv", fmt.Sprintf("%q is run as one program: there is no shell", m.Argv[0]), `Write the arguments as further elements, or ["sh", "-c", "..."]`)
	}
	if m.Timeout <= 0 || m.Timeout > maxCommandTimeout {
		c.wrong("metric.command.timeout", fmt.Sprintf("%s is not between 0s and %s", m.Timeout, maxCommandTimeout), "Leave it out for "+DefaultCommandTimeout.String())
	}
}

func (m SQLMetric) validate(c *checker) {
	const at = "metric.sql."
	c.query(at+"query", m.Query)
	word, _, _ := strings.Cut(strings.TrimLeft(m.Query, " \t\r\n("), " ")
	word, _, _ = strings.Cut(word, "\n")
	switch strings.ToUpper(word) {
	case "SELECT", "WITH", "SHOW", "TABLE", "VALUES", "":
	default:
		c.wrong(at+"query", fmt.Sprintf("begins with %s: it is asked again and again and must change nothing", word), "Write a SELECT of one number")
	}
	if strings.Contains(strings.TrimRight(m.Query, "; \t\r\n"), ";") && !strings.ContainsAny(m.Query, `'"`) {
		c.wrong(at+"query", "holds several statements", "Write one")
	}
	switch {
	case m.Role == "" && m.Host == "":
		c.wrong(at+"role", "neither role nor host says where to ask", "Set role to a mysql role of the farm, or host, user and the metric's secret_wo to another server")
	case m.Role != "" && (m.Host != "" || m.User != "" || m.Database != ""):
		c.wrong(at+"role", "with a role, the farm knows its address, user and database", "Remove host, user and database, or remove role")
	case m.Role != "" && strings.Count(m.Role, "/") != 1:
		c.wrong(at+"role", fmt.Sprintf("%q is not a role's id", m.Role), "Write farmhand_role.<name>.id")
	case m.Role == "" && m.User == "":
		c.wrong(at+"user", "is empty", "Write the user to log in as")
	case m.Host != "":
		if host, port, err := net.SplitHostPort(m.Host); err == nil {
			if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || host == "" {
				c.wrong(at+"host", fmt.Sprintf("%q has no port from 1 to 65535", m.Host), `Write "db.example.com" or "db.example.com:3306"`)
			}
		} else if strings.ContainsAny(m.Host, ":/@ ") {
			c.wrong(at+"host", fmt.Sprintf("%q is no host", m.Host), `Write "db.example.com" or "db.example.com:3306"; user and password have places of their own`)
		}
	}
}

// validateFarm: the sidecar asks the databases of the policy's own farm; those of others are at a host.
func (m Metric) validateFarm(c *checker, farm string) {
	if m.SQL != nil && strings.Count(m.SQL.Role, "/") == 1 && !strings.HasPrefix(m.SQL.Role, farm+"/") {
		c.wrong("metric.sql.role", fmt.Sprintf("%q is a role of another farm than %s", m.SQL.Role, farm), "Name a role of the same farm, or set host, user and secret_wo")
	}
}

func (m SQSMetric) validate(c *checker) {
	const at = "metric.sqs."
	if m.Measure != Depth && m.Measure != OldestAge {
		c.wrong(at+"measure", fmt.Sprintf("%q is not measured", m.Measure), "Write depth or age")
	}
	if c.webAddress(at+"queue_url", m.QueueURL) && QueueName(m.QueueURL) == "" {
		c.wrong(at+"queue_url", fmt.Sprintf("%q names no queue", m.QueueURL), `Write it as SQS does, as in "https://sqs.eu-west-1.amazonaws.com/123456789012/mail"`)
	}
	c.region(at+"region", m.Region)
	if m.Region == "" && QueueRegion(m.QueueURL) == "" {
		c.warn(at+"region", "the URL does not say which region the queue is in; the sidecar's AWS settings decide", "Write region")
	}
}

// QueueName is the last part of an SQS queue's URL, "" if it has none.
func QueueName(queueURL string) string {
	u, err := url.Parse(queueURL)
	if err != nil || strings.Count(strings.Trim(u.Path, "/"), "/") < 1 {
		return ""
	}
	return path.Base(u.Path)
}

// QueueRegion is the region in an SQS queue's URL, "" if it does not say.
func QueueRegion(queueURL string) string {
	u, err := url.Parse(queueURL)
	if err != nil {
		return ""
	}
	for part := range strings.SplitSeq(u.Hostname(), ".") {
		if region.MatchString(part) {
			return part
		}
	}
	return ""
}

func (m CloudWatchMetric) validate(c *checker) {
	const at = "metric.cloudwatch."
	for _, f := range []struct{ name, value string }{{"namespace", m.Namespace}, {"name", m.Name}} {
		if f.value == "" || len(f.value) > 255 || strings.HasPrefix(f.value, ":") {
			c.wrong(at+f.name, fmt.Sprintf("%q is not one that CloudWatch has", f.value), `Write what CloudWatch calls it, as in namespace = "AWS/ApplicationELB", name = "RequestCountPerTarget"`)
		}
	}
	if len(m.Dimensions) > 30 {
		c.wrong(at+"dimensions", fmt.Sprintf("%d dimensions are more than CloudWatch's 30", len(m.Dimensions)), "Name those that the metric has")
	}
	for name, value := range m.Dimensions {
		if name == "" || value == "" || len(name) > 255 || len(value) > 1024 {
			c.wrong(at+"dimensions", fmt.Sprintf("%q = %q is no dimension", name, value), "Neither name nor value is empty")
		}
	}
	if !cloudWatchStat.MatchString(m.Stat) {
		c.wrong(at+"stat", fmt.Sprintf("%q is none of CloudWatch's statistics", m.Stat), "Write Average, Sum, Minimum, Maximum, SampleCount, or a percentile such as p99")
	}
	p := m.Period
	if second := Duration(time.Second); !(p == second || p == 5*second || p == 10*second || p == 20*second || p == 30*second || p > 0 && p%(60*second) == 0) {
		c.wrong(at+"period", fmt.Sprintf("%s is no period of CloudWatch", p), "Write 1s, 5s, 10s, 20s, 30s or whole minutes")
	}
	c.region(at+"region", m.Region)
}

func (c *checker) region(attribute, s string) {
	if s != "" && !region.MatchString(s) {
		c.wrong(attribute, fmt.Sprintf("%q is no region of AWS", s), `Write one as in "eu-west-1"`)
	}
}

func (c *checker) query(attribute, s string) {
	switch {
	case strings.TrimSpace(s) == "":
		c.wrong(attribute, "is empty", "Write the query, whose answer is one number")
	case len(s) > maxQuery:
		c.wrong(attribute, fmt.Sprintf("%d bytes are more than %d", len(s), maxQuery), "Make a view or a recording rule of it")
	}
}

// webAddress takes an absolute address without credentials: those would be in Terraform's state and the store.
func (c *checker) webAddress(attribute, s string) bool {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		c.wrong(attribute, fmt.Sprintf("%q is not an address", s), `Write the whole of it, as in "http://10.0.0.5:9090/queue"`)
	case u.User != nil:
		c.wrong(attribute, "holds a password, which would be kept in Terraform's state", "Leave it out and set the metric's secret_wo, which is sent as a bearer token")
	default:
		return true
	}
	return false
}
