package awsconfig

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Config is what may be said beside environment and shared files; its fields are named as the attributes of the AWS
// provider. The zero value says nothing. It holds no secret but the static credentials, which are left out wherever it is
// printed or encoded.
type Config struct {
	Region  string `json:"region,omitempty"`
	Profile string `json:"profile,omitempty"`

	SharedConfigFiles      []string `json:"shared_config_files,omitempty"`
	SharedCredentialsFiles []string `json:"shared_credentials_files,omitempty"`

	// Static credentials, for who has no better way. Never printed, never encoded.
	AccessKey string `json:"-"`
	SecretKey string `json:"-"`
	Token     string `json:"-"`

	AssumeRole *AssumeRole `json:"assume_role,omitempty"`

	// Endpoints are URLs by service: "dynamodb", "s3", "ec2", "elbv2", "route53", "iam", "autoscaling", "sts", "sqs",
	// "cloudwatch", "logs", "servicequotas". They win over AWS_ENDPOINT_URL and its per-service variables.
	Endpoints map[string]string `json:"endpoints,omitempty"`

	UseFIPSEndpoint      bool   `json:"use_fips_endpoint,omitempty"`
	UseDualStackEndpoint bool   `json:"use_dualstack_endpoint,omitempty"`
	CustomCABundle       string `json:"custom_ca_bundle,omitempty"` // path of a PEM file

	// MaxRetries is how often a call that was throttled or failed on the way is tried again; 0 for the SDK's own.
	MaxRetries int `json:"max_retries,omitempty"`
	// RetryMode is "standard" or "adaptive"; empty for what the environment says, else adaptive: it slows down by itself
	// when AWS throttles.
	RetryMode string `json:"retry_mode,omitempty"`

	// DefaultTags are put on everything that is made. Load checks them and does nothing else with them.
	DefaultTags map[string]string `json:"default_tags,omitempty"`
}

// AssumeRole is a role to act as; the credentials found otherwise are used to ask for it.
type AssumeRole struct {
	RoleARN           string            `json:"role_arn"`
	SessionName       string            `json:"session_name,omitempty"` // empty: "farmhand"
	ExternalID        string            `json:"external_id,omitempty"`
	Duration          time.Duration     `json:"duration,omitempty"` // of one session; 0: STS' hour
	Policy            string            `json:"policy,omitempty"`
	PolicyARNs        []string          `json:"policy_arns,omitempty"`
	Tags              map[string]string `json:"tags,omitempty"`
	TransitiveTagKeys []string          `json:"transitive_tag_keys,omitempty"`
	SourceIdentity    string            `json:"source_identity,omitempty"`
}

// String is the configuration as JSON, without secrets.
func (c Config) String() string {
	b, err := json.Marshal(c)
	if err != nil {
		return "aws configuration: " + err.Error()
	}
	return string(b)
}

// Environment is what String leaves out, as variables for a process that is to reach AWS in the same way; nil for nothing.
func (c Config) Environment() []string {
	if c.AccessKey == "" {
		return nil
	}
	return []string{"AWS_ACCESS_KEY_ID=" + c.AccessKey, "AWS_SECRET_ACCESS_KEY=" + c.SecretKey, "AWS_SESSION_TOKEN=" + c.Token}
}

// OfSession tells whether the keys that are said, or else those of this process's environment, end with a session. A profile is read
// before the environment.
func (c Config) OfSession() bool {
	if c.AccessKey != "" {
		return c.Token != ""
	}
	return c.Profile == "" && os.Getenv("AWS_ACCESS_KEY_ID") != "" && os.Getenv("AWS_SESSION_TOKEN") != ""
}

// GoString keeps %#v from telling secrets.
func (c Config) GoString() string { return "awsconfig.Config" + c.String() }

// services are the names in Endpoints and what the SDK calls them.
func services() map[string]string {
	return map[string]string{
		"autoscaling":   "Auto Scaling",
		"cloudwatch":    "CloudWatch",
		"dynamodb":      "DynamoDB",
		"ec2":           "EC2",
		"elbv2":         "Elastic Load Balancing v2",
		"iam":           "IAM",
		"logs":          "CloudWatch Logs",
		"route53":       "Route 53",
		"s3":            "S3",
		"servicequotas": "Service Quotas",
		"sqs":           "SQS",
		"sts":           "STS",
	}
}

// Services are the names that Endpoints takes, in order.
func Services() []string { return slices.Sorted(maps.Keys(services())) }

// Check tells what can never work, each error naming the attribute. Load calls it.
func (c Config) Check() error {
	if (c.AccessKey == "") != (c.SecretKey == "") {
		return fmt.Errorf("access_key and secret_key go together: give both, or neither")
	}
	if c.Token != "" && c.AccessKey == "" {
		return fmt.Errorf("token without access_key and secret_key: give all three, or none")
	}
	if c.RetryMode != "" {
		if _, err := aws.ParseRetryMode(c.RetryMode); err != nil {
			return fmt.Errorf("retry_mode %q: it is \"standard\" or \"adaptive\"", c.RetryMode)
		}
	}
	if c.MaxRetries < 0 {
		return fmt.Errorf("max_retries %d: it cannot be negative", c.MaxRetries)
	}
	known := services()
	for _, name := range slices.Sorted(maps.Keys(c.Endpoints)) {
		if _, ok := known[name]; !ok {
			return fmt.Errorf("endpoints: no service %q; there are %s", name, strings.Join(Services(), ", "))
		}
		if err := CheckEndpoint(c.Endpoints[name]); err != nil {
			return fmt.Errorf("endpoints: %s: %w", name, err)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.DefaultTags)) {
		if err := checkTag(key, c.DefaultTags[key]); err != nil {
			return fmt.Errorf("default_tags: %w", err)
		}
	}
	return c.AssumeRole.check()
}

func (r *AssumeRole) check() error {
	switch {
	case r == nil:
		return nil
	case !strings.HasPrefix(r.RoleARN, "arn:") || !strings.Contains(r.RoleARN, ":role/"):
		return fmt.Errorf("assume_role: role_arn %q is no ARN of a role: it reads arn:aws:iam::ACCOUNT:role/NAME", r.RoleARN)
	case r.Duration != 0 && (r.Duration < 15*time.Minute || r.Duration > 12*time.Hour):
		return fmt.Errorf("assume_role: duration %s: STS takes 15 minutes to 12 hours", r.Duration)
	}
	return nil
}

// CheckEndpoint tells whether s can be an endpoint: an http or https URL without user, query and fragment, which would
// be shown where secrets are not to be.
func CheckEndpoint(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return fmt.Errorf("an endpoint is a URL as in https://host:port, and this cannot be read as one")
	case u.User != nil:
		return fmt.Errorf("endpoint at %s: a URL with a user or password in it is not taken", u.Host)
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.RawQuery != "", u.Fragment != "":
		return fmt.Errorf("endpoint %q: it is a URL as in https://host:port", s)
	}
	return nil
}

// checkTag holds to what EC2, S3 and IAM all take.
func checkTag(key, value string) error {
	switch {
	case key == "" || len(key) > 128:
		return fmt.Errorf("a key has 1 to 128 characters, %q has %d", key, len(key))
	case len(value) > 256:
		return fmt.Errorf("the value of %q has %d characters, more than 256", key, len(value))
	case strings.HasPrefix(strings.ToLower(key), "aws:"):
		return fmt.Errorf("%q: keys that start with aws: are AWS' own", key)
	case strings.HasPrefix(key, "farmhand:"):
		return fmt.Errorf("%q: keys that start with farmhand: are farmhand's own", key)
	}
	return nil
}
