package state

import (
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// Asked is a measurement that policies ask an agent for: of its own instance, or, of a balancer, of Role.
type Asked struct {
	// Key is what the samples carry the value under; see SampleKey.
	Key string `json:"key"`
	// Role is the role whose policy asks.
	Role   string      `json:"role"`
	Metric spec.Metric `json:"metric"`
}

// SampleKey is the key under which samples carry the metric for the role: a balancer may stand before several.
func SampleKey(role string, m spec.Metric) string {
	if m.Origin() == spec.OnBalancer {
		return m.Key() + "@" + role
	}
	return m.Key()
}

// Series is what the sidecar got when it asked for a metric, kept so that a restarted one has its window.
type Series struct {
	Key    string  `json:"key"` // of the metric; of another one the points say nothing
	Points []Point `json:"points,omitempty"`
	// Problem is why the last answer is none, "" if it was one, and Asked when that was.
	Problem string    `json:"problem,omitempty"`
	Asked   time.Time `json:"asked,omitzero"`
}

// Point is one value.
type Point struct {
	At    time.Time `json:"at"`
	Value float64   `json:"v"`
}

// SeriesPrefix and SeriesKey hold Series, by role and policy.
func SeriesPrefix(farm string) string            { return farm + "/series/" }
func SeriesKey(farm, role, policy string) string { return SeriesPrefix(farm) + role + "/" + policy }

// PolicySecretPrefix and PolicySecretKey hold PolicySecret, which no instance may read.
func PolicySecretPrefix(farm string) string { return farm + "/policysecret/" }
func PolicySecretKey(farm, role, policy string) string {
	return PolicySecretPrefix(farm) + role + "/" + policy
}

// PolicySecret is what the sidecar proves itself with where it asks for a policy's metric.
type PolicySecret struct {
	Secret string `json:"secret"`
}
