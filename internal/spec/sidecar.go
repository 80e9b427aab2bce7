package spec

import (
	"fmt"
	"regexp"
)

// LocalSidecar is the id of the daemon on this machine; there is one in a state directory.
const LocalSidecar = "local"

// iamName is a role's name. https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
var iamName = regexp.MustCompile(`^[A-Za-z0-9+=,.@_-]{1,64}$`)

// logGroupName is as https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html has it.
var logGroupName = regexp.MustCompile(`^[A-Za-z0-9._/#-]{1,512}$`)

// Sidecar is a declared daemon that keeps farms.
type Sidecar struct {
	ID    string `json:"id"`    // what Farm.Sidecar names
	Local bool   `json:"local"` // on the machine whose state directory holds the store
	// MetricsListen is host:port that metrics are served at; "" for none.
	MetricsListen string `json:"metrics_listen,omitempty"`
	// AWS is set where it runs on EC2.
	AWS *SidecarAWS `json:"aws,omitempty"`
}

// SidecarAWS is where a sidecar runs on EC2.
type SidecarAWS struct {
	Region           string            `json:"region"`
	SubnetIDs        []string          `json:"subnet_ids"`
	AMI              string            `json:"ami"`
	InstanceType     string            `json:"instance_type"`
	Size             int               `json:"size"` // instances: 1, or 2 for one that stands by
	SecurityGroupIDs []string          `json:"security_group_ids,omitempty"`
	InstanceProfile  string            `json:"instance_profile,omitempty"`
	KeyName          string            `json:"key_name,omitempty"`
	InstanceRoles    []string          `json:"instance_roles,omitempty"` // that farms' instances are given beside those that the provider makes
	Tags             map[string]string `json:"tags,omitempty"`
	LogGroup         string            `json:"log_group,omitempty"` // of CloudWatch Logs, beside the journal

	// Set by the provider: version and executables, names of blobs by architecture.
	Version string            `json:"version"`
	Agent   map[string]string `json:"agent"`
	// Stale are names of blobs that former instances run, until none does.
	Stale []string `json:"stale,omitempty"`
}

// DefaultSidecarType is the smallest there is: a sidecar needs some 30 MB and looks every few seconds.
const DefaultSidecarType = "t4g.nano"

// maxSidecarName leaves farmhand-sidecar-NAME within an IAM role's name.
const maxSidecarName = maxRoleNameIAM - len("farmhand-sidecar-")

// SetDefaults fills in what was left out.
func (s *Sidecar) SetDefaults() {
	if s.AWS != nil {
		orDefault(&s.AWS.InstanceType, DefaultSidecarType)
		orDefault(&s.AWS.Size, 1)
	}
}

// Validate checks everything that the declaration can show, after SetDefaults.
func (s Sidecar) Validate() []Problem {
	var c checker
	c.metricsListen(s)
	if s.AWS == nil {
		return c.problems
	}
	a := s.AWS
	c.label("aws.name", s.ID, maxSidecarName)
	if a.Region == "" {
		c.wrong("aws", "no region is named", `Write it in the provider's block, region = "eu-west-1", or set AWS_REGION`)
	}
	if len(a.SubnetIDs) == 0 {
		c.wrong("aws.subnet_ids", "no subnet is named", "Name at least one; with one in each of several zones, the sidecar survives the loss of a zone")
	}
	c.awsIDs("aws.subnet_ids", "subnet-", a.SubnetIDs)
	c.awsIDs("aws.security_group_ids", "sg-", a.SecurityGroupIDs)
	c.awsID("aws.ami", "ami-", a.AMI)
	c.instanceTypes("aws.instance_type", []string{a.InstanceType})
	if a.Size != 1 && a.Size != 2 {
		c.wrong("aws.size", "a sidecar is one instance, or two of which one stands by", "Write 1 or 2")
	}
	if s.ID == LocalSidecar {
		c.wrong("aws.name", fmt.Sprintf("%q is the name of the sidecar on this machine", s.ID), "Choose another name")
	}
	for _, name := range a.InstanceRoles {
		if !iamName.MatchString(name) {
			c.wrong("aws.instance_roles", fmt.Sprintf("%q is not the name of an IAM role", name), "Write the role's name, not its ARN")
		}
	}
	if a.LogGroup != "" && !logGroupName.MatchString(a.LogGroup) {
		c.wrong("aws.log_group", fmt.Sprintf("%q is not the name of a log group", a.LogGroup), "Write its name, as aws_cloudwatch_log_group.<name>.name gives it")
	}
	c.tags("aws.tags", a.Tags)
	return c.problems
}
