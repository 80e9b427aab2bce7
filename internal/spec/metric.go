package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// Metric is what is measured, and over which window. Of a kind with settings of its own, the pointer of that kind is set.
//
// Who measures it depends on the kind: the agent on each server, the agent of the balancer in front of the role, or
// the sidecar, which asks elsewhere. See Origin.
type Metric struct {
	Kind    string   `json:"kind"`              // one of the kinds below
	Minutes int      `json:"minutes,omitempty"` // of load_average: 1, 5 or 15
	Window  Duration `json:"window"`            // of samples that count; a decision never rests on one sample
	// Statistic makes one number of the window: avg (the default), min, max, sum, or a percentile such as p95. Of
	// response_time it is over the requests of the window.
	Statistic string `json:"statistic,omitempty"`
	// Per says what the number of a whole role is about: with PerServer it is a total that the servers share, and is
	// divided by how many serve; with PerRole it is a level that the role has. Empty for what each server measures.
	Per string `json:"per,omitempty"`
	// Every is how often the sidecar asks for it.
	Every Duration `json:"every,omitempty"`
	// SecretVersion counts up with the secret that goes with the metric, which stands under state.PolicySecretKey: the
	// password of sql, the bearer token of http and prometheus. 0: there is none.
	SecretVersion int64 `json:"secret_version,omitempty"`

	Bandwidth  *BandwidthMetric  `json:"bandwidth,omitempty"`
	Requests   *RequestsMetric   `json:"requests_per_second,omitempty"`
	File       *FileMetric       `json:"file,omitempty"`
	Command    *CommandMetric    `json:"command,omitempty"`
	HTTP       *HTTPMetric       `json:"http,omitempty"`
	SQL        *SQLMetric        `json:"sql,omitempty"`
	Prometheus *PrometheusMetric `json:"prometheus,omitempty"`
	SQS        *SQSMetric        `json:"sqs,omitempty"`
	CloudWatch *CloudWatchMetric `json:"cloudwatch,omitempty"`
}

// Values of Metric.Kind.
const (
	LoadAverage       = "load_average"
	CPU               = "cpu"         // share of the cores in use
	MemoryFree        = "memory_free" // share of the memory that can be had
	Bandwidth         = "bandwidth"   // Mbit/s
	BusyWorkers       = "busy_workers"
	RequestsPerSecond = "requests_per_second"
	FileValue         = "file"
	CommandValue      = "command"
	ResponseTime      = "response_time" // seconds
	QueueDepth        = "queue_depth"   // requests that wait at the balancer
	HTTPValue         = "http"
	SQLValue          = "sql"
	PrometheusValue   = "prometheus"
	SQSQueue          = "sqs"
	CloudWatch        = "cloudwatch"

	// MemoryUsed is what becomes of memory_free where more has to mean more load; see Policy.AsLoad. It cannot be declared.
	MemoryUsed = "memory_used"
)

// BandwidthMetric is traffic over all interfaces but the loopback.
type BandwidthMetric struct {
	Direction string `json:"direction"` // "in" or "out", as the server sees it
}

// RequestsMetric says where requests are counted.
type RequestsMetric struct {
	At string `json:"at"` // "server": Apache's own count; "balancer": haproxy's of the role's servers
}

// FileMetric is a file on the server that holds one number.
type FileMetric struct {
	Path string `json:"path"`
}

// CommandMetric is a program on the server that prints one number; it runs as root, without a shell.
type CommandMetric struct {
	Argv    []string `json:"argv"`
	Timeout Duration `json:"timeout"`
}

// HTTPMetric is an address that answers with a number, or with JSON that Select finds a number in.
type HTTPMetric struct {
	URL    string `json:"url"`
	Select string `json:"select,omitempty"` // path in GJSON's syntax; empty: the answer is the number
}

// SQLMetric is a query whose answer is one row of one column. The server is that of Role, with the credentials that
// the farm made for it, or the one at Host, with Metric's secret as the password.
type SQLMetric struct {
	Query    string `json:"query"`
	Role     string `json:"role,omitempty"` // id of a mysql role of the same farm
	Host     string `json:"host,omitempty"` // host or host:port
	User     string `json:"user,omitempty"`
	Database string `json:"database,omitempty"`
}

// PrometheusMetric is an instant query that gives one value.
type PrometheusMetric struct {
	URL   string `json:"url"` // of the server, without /api/v1/query
	Query string `json:"query"`
}

// SQSMetric is an SQS queue's depth or the age of its oldest message.
type SQSMetric struct {
	QueueURL string `json:"queue_url"`
	Measure  string `json:"measure"`          // "depth" (messages) or "age" (seconds)
	Region   string `json:"region,omitempty"` // empty: as the URL says
}

// CloudWatchMetric is any metric that CloudWatch keeps.
type CloudWatchMetric struct {
	Namespace  string            `json:"namespace"`
	Name       string            `json:"name"`
	Dimensions map[string]string `json:"dimensions,omitempty"`
	Stat       string            `json:"stat"` // CloudWatch's own: Average, Sum, Minimum, Maximum, SampleCount, p99, ...
	Period     Duration          `json:"period"`
	Region     string            `json:"region,omitempty"` // empty: as AWS's own settings say
}

// Values of Metric.Per, RequestsMetric.At, BandwidthMetric.Direction and SQSMetric.Measure.
const (
	PerServer  = "server"
	PerRole    = "role"
	AtServer   = "server"
	AtBalancer = "balancer"
	Inward     = "in"
	Outward    = "out"
	Depth      = "depth"
	OldestAge  = "age"
)

// Origin is who measures a metric.
type Origin int

const (
	OnServer       Origin = iota // the agent of each of the role's servers
	OnBalancer                   // the agent of each balancer that uses the role
	AskedElsewhere               // the sidecar
)

// Origin tells who measures the metric.
func (m Metric) Origin() Origin {
	switch m.Kind {
	case ResponseTime, QueueDepth:
		return OnBalancer
	case RequestsPerSecond:
		if m.Requests != nil && m.Requests.At == AtBalancer {
			return OnBalancer
		}
	case HTTPValue, SQLValue, PrometheusValue, SQSQueue, CloudWatch:
		return AskedElsewhere
	}
	return OnServer
}

// Defaults of metrics, each with its reason.
const (
	// DefaultBalancerWindow: response times of a few seconds are few requests on a quiet site.
	DefaultBalancerWindow = Duration(15 * time.Second)
	// DefaultEvery for what answers with its present state, and scrapedEvery for what is itself a copy: Prometheus
	// scrapes every 15 s by default, and SQS' counts take some seconds to settle.
	DefaultEvery = Duration(5 * time.Second)
	scrapedEvery = Duration(15 * time.Second)
	// cloudWatchPeriod is that of CloudWatch's ordinary metrics.
	cloudWatchPeriod = Duration(time.Minute)
	// asksInWindow is how many answers the default window holds: two are enough, and two may fail.
	asksInWindow = 4
	// DefaultCommandTimeout of a program on the server.
	DefaultCommandTimeout = Duration(2 * time.Second)
	// DefaultPercentile of response_time: what all but one in twenty wait at most.
	DefaultPercentile = "p95"
)

// setDefaults fills in what was left out.
func (m *Metric) setDefaults() {
	switch m.Kind {
	case LoadAverage:
		orDefault(&m.Minutes, DefaultLoadMinutes)
	case Bandwidth:
		if m.Bandwidth != nil {
			orDefault(&m.Bandwidth.Direction, Outward)
		}
	case RequestsPerSecond:
		if m.Requests == nil {
			m.Requests = &RequestsMetric{}
		}
		orDefault(&m.Requests.At, AtServer)
	case CommandValue:
		if m.Command != nil {
			orDefault(&m.Command.Timeout, DefaultCommandTimeout)
		}
	case ResponseTime:
		orDefault(&m.Statistic, DefaultPercentile)
	case PrometheusValue:
		orDefault(&m.Every, scrapedEvery)
	case SQSQueue:
		if m.SQS != nil {
			orDefault(&m.SQS.Measure, Depth)
			if m.SQS.Measure == OldestAge { // known to CloudWatch only
				orDefault(&m.Every, cloudWatchPeriod)
			}
		}
		orDefault(&m.Every, scrapedEvery)
	case CloudWatch:
		if m.CloudWatch != nil {
			orDefault(&m.CloudWatch.Stat, "Average")
			orDefault(&m.CloudWatch.Period, cloudWatchPeriod)
			orDefault(&m.Every, max(m.CloudWatch.Period, Duration(10*time.Second)))
		}
		orDefault(&m.Every, cloudWatchPeriod)
	}
	switch m.Origin() {
	case OnServer:
		orDefault(&m.Window, DefaultWindow)
	case OnBalancer:
		orDefault(&m.Window, DefaultBalancerWindow)
		if m.Kind == ResponseTime {
			orDefault(&m.Per, PerRole)
		} else {
			orDefault(&m.Per, PerServer)
		}
	case AskedElsewhere:
		orDefault(&m.Every, DefaultEvery)
		orDefault(&m.Window, asksInWindow*m.Every+m.late())
		if m.Kind == SQSQueue && m.SQS != nil && m.SQS.Measure == Depth {
			orDefault(&m.Per, PerServer)
		}
		orDefault(&m.Per, PerRole)
	}
}

// late is how far CloudWatch's newest value may lie behind: a period is told when it is over, and most services tell
// theirs within two minutes of that.
func (m Metric) late() Duration {
	if m.FromCloudWatch() {
		return Duration(2 * time.Minute)
	}
	return 0
}

// FromCloudWatch tells whether CloudWatch is who knows it.
func (m Metric) FromCloudWatch() bool {
	return m.Kind == CloudWatch || m.Kind == SQSQueue && m.SQS != nil && m.SQS.Measure == OldestAge
}

// same tells whether it measures the same; windows and statistics may differ.
func (m Metric) same(o Metric) bool {
	m.Window, m.Statistic, m.Every, m.SecretVersion = o.Window, o.Statistic, o.Every, o.SecretVersion
	return m.digest() == o.digest()
}

// Key names what is measured, short and the same for the same: samples and series are kept under it.
func (m Metric) Key() string {
	switch m.Kind {
	case MemoryFree, MemoryUsed:
		return "mem"
	case Bandwidth:
		if m.Bandwidth != nil {
			return m.Bandwidth.Direction
		}
	case BusyWorkers:
		return "busy"
	case RequestsPerSecond:
		return "rps"
	case QueueDepth:
		return "queue"
	case ResponseTime:
		return "rt" + m.Statistic + "/" + m.Window.String()
	}
	m.Window, m.Statistic, m.Per = 0, "", ""
	return m.Kind + ":" + m.digest()
}

func (m Metric) digest() string {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // plain data
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:5])
}
