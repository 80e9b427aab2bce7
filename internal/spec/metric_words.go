package spec

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Words is what a metric is called in a sentence, lower case: "free memory", "p95 response time".
func (m Metric) Words() string {
	switch m.Kind {
	case LoadAverage:
		if m.Minutes > 1 {
			return fmt.Sprintf("load average (%d min)", m.Minutes)
		}
		return "load average"
	case CPU:
		return "CPU use"
	case MemoryFree:
		return m.statistical("free memory")
	case MemoryUsed:
		return m.statistical("memory use")
	case Bandwidth:
		if m.Bandwidth != nil && m.Bandwidth.Direction == Inward {
			return m.statistical("incoming traffic")
		}
		return m.statistical("outgoing traffic")
	case BusyWorkers:
		return m.statistical("share of busy workers")
	case RequestsPerSecond:
		return m.statistical("rate of requests") + m.perWords()
	case ResponseTime:
		return m.Statistic + " response time"
	case QueueDepth:
		return m.statistical("queue at the balancer") + m.perWords()
	case FileValue:
		if m.File != nil {
			return m.statistical("number in " + m.File.Path)
		}
	case CommandValue:
		if m.Command != nil && len(m.Command.Argv) > 0 {
			return m.statistical("number printed by " + m.Command.Argv[0])
		}
	case SQSQueue:
		if m.SQS != nil {
			name := m.SQS.QueueURL[strings.LastIndexByte(m.SQS.QueueURL, '/')+1:]
			if m.SQS.Measure == OldestAge {
				return m.statistical("age of the oldest message of queue " + name)
			}
			return m.statistical("depth of queue "+name) + m.perWords()
		}
	case CloudWatch:
		if m.CloudWatch != nil {
			return m.statistical(m.CloudWatch.Namespace+" "+m.CloudWatch.Name) + m.perWords()
		}
	case HTTPValue:
		return m.statistical("number by HTTP") + m.perWords()
	case SQLValue:
		return m.statistical("result of the query") + m.perWords()
	case PrometheusValue:
		return m.statistical("result of the Prometheus query") + m.perWords()
	}
	return m.Kind
}

func (m Metric) statistical(what string) string {
	switch m.Statistic {
	case "", "avg":
		return what
	case "min":
		return "lowest " + what
	case "max":
		return "highest " + what
	case "sum":
		return "sum of the " + what
	}
	return m.Statistic + " of the " + what
}

func (m Metric) perWords() string {
	if m.Per == PerServer {
		return " per server"
	}
	return ""
}

// Amount is a value of the metric with its unit: "87 %", "12.5 Mbit/s", "340 ms".
func (m Metric) Amount(v float64) string {
	switch m.Kind {
	case CPU, MemoryFree, MemoryUsed, BusyWorkers:
		return decimals(v*100) + " %"
	case Bandwidth:
		return decimals(v) + " Mbit/s"
	case RequestsPerSecond:
		return decimals(v) + "/s"
	case ResponseTime:
		if v < 1 {
			return decimals(v*1000) + " ms"
		}
		return decimals(v) + " s"
	case SQSQueue:
		if m.SQS != nil && m.SQS.Measure == OldestAge {
			return decimals(v) + " s"
		}
	}
	return decimals(v)
}

// decimals has two of them and no empty ones.
func decimals(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(v, 'f', 2, 64), "0"), ".")
}

// highest is what the metric never exceeds.
func (m Metric) highest() float64 {
	switch m.Kind {
	case CPU, MemoryFree, MemoryUsed, BusyWorkers:
		return 1
	}
	return math.Inf(1)
}

// words is Words; the load average names its minutes always, as two policies may differ in them.
func (m Metric) words() string {
	if m.Kind == LoadAverage {
		return fmt.Sprintf("load average over %d min", m.Minutes)
	}
	if m.Kind == CPU {
		return m.Kind
	}
	return m.Words()
}
