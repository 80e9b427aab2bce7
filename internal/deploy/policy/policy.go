// Package policy says what Farmhand may do in an AWS account: one document for instances, one for the sidecar, one for
// whoever applies. What makes IAM roles, what `farmhand iam-policy` prints and what the tests compare calls with is
// this and nothing else. It contacts nothing. Start reading at Instance, Sidecar and Provider.
package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Scope is what a policy is cut down to.
type Scope struct {
	Region  string
	Account string // twelve digits; "*" or "" for any
	Table   string
	Bucket  string
	// Farms by name; empty: every farm of the store.
	Farms []string
	// Backups are the places in S3, BUCKET or BUCKET/PREFIX, that roles are backed up to.
	Backups []string
	// Sources are BUCKET/PREFIX/FARM/ROLE of backups of other farms that are restored from.
	Sources []string
	// LogGroup is the name of the CloudWatch log group that the sidecar writes its log to; empty: none.
	LogGroup string
	// InstanceRoles are the names of roles that instances are given; empty: those that the provider makes for Farms.
	InstanceRoles []string
}

// Document is a policy in IAM's notation.
type Document struct {
	Version   string
	Statement []Statement
}

// Statement allows actions on resources under conditions. Why says it for a person; it is not part of the JSON.
type Statement struct {
	Sid       string
	Effect    string
	Action    []string
	Resource  []string
	Condition Condition `json:",omitempty"`
	Why       string    `json:"-"`
}

// Condition is operator, key and values, all of which must hold.
type Condition map[string]map[string][]string

// version is that of the policy language. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html
const version = "2012-10-17"

// FarmTag is on everything that is made for a farm; what carries it not is out of every policy's reach.
const FarmTag = "farmhand:farm"

// SidecarTag is on everything that is made for a sidecar; its value is the sidecar's id.
const SidecarTag = "farmhand:sidecar"

// TrustJSON lets EC2, and nobody else, hand a role's credentials to instances. It has a principal and no resource.
func TrustJSON(region string) string {
	return fmt.Sprintf(`{"Version":%q,"Statement":[{"Effect":"Allow","Principal":{"Service":%q},"Action":"sts:AssumeRole"}]}`, version, ec2Service(region))
}

// JSON is the document as IAM takes it, indented.
func (d Document) JSON() string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(d) // strings only
	return b.String()
}

// Compact is the document without blanks, as IAM counts its size: at most 10,240 characters in a role.
func (d Document) Compact() string {
	b, _ := json.Marshal(d) // strings only
	return string(b)
}

// Allows tells whether any statement names the action, as in "ec2:RunInstances". Resources and conditions are not
// looked at.
func (d Document) Allows(action string) bool {
	for _, s := range d.Statement {
		if slices.Contains(s.Action, action) {
			return true
		}
	}
	return false
}

// Explain says of each statement why it is there, for people.
func (d Document) Explain() string {
	var b strings.Builder
	for i, s := range d.Statement {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s: %s\n", s.Sid, s.Why)
		for _, a := range s.Action {
			fmt.Fprintf(&b, "  %-48s %s\n", a, reason(a))
		}
		for _, r := range s.Resource {
			fmt.Fprintf(&b, "  on %s\n", r)
		}
		for _, line := range s.Condition.lines() {
			fmt.Fprintf(&b, "  only if %s\n", line)
		}
	}
	return b.String()
}

func (c Condition) lines() (lines []string) {
	for operator, keys := range c {
		for key, values := range keys {
			lines = append(lines, fmt.Sprintf("%s %s %s", key, operator, strings.Join(values, ", ")))
		}
	}
	slices.Sort(lines)
	return lines
}

func (s Scope) partition() string {
	switch {
	case strings.HasPrefix(s.Region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(s.Region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

func ec2Service(region string) string {
	if strings.HasPrefix(region, "cn-") {
		return "ec2.amazonaws.com.cn"
	}
	return "ec2.amazonaws.com"
}

func (s Scope) account() string {
	if s.Account == "" {
		return "*"
	}
	return s.Account
}

func (s Scope) region() string {
	if s.Region == "" {
		return "*"
	}
	return s.Region
}

// arn of a resource in the account and region; service "iam", "s3" and "route53" have their own forms.
func (s Scope) arn(service, resource string) string {
	switch service {
	case "iam":
		return fmt.Sprintf("arn:%s:iam::%s:%s", s.partition(), s.account(), resource)
	case "s3", "route53":
		return fmt.Sprintf("arn:%s:%s:::%s", s.partition(), service, resource)
	}
	return fmt.Sprintf("arn:%s:%s:%s:%s:%s", s.partition(), service, s.region(), s.account(), resource)
}

func (s Scope) ec2(kinds ...string) (arns []string) {
	for _, k := range kinds {
		switch k {
		case "image", "snapshot": // these have no account in their names: they may be another's
			arns = append(arns, fmt.Sprintf("arn:%s:ec2:%s::%s/*", s.partition(), s.region(), k))
		default:
			arns = append(arns, s.arn("ec2", k+"/*"))
		}
	}
	return arns
}

func (s Scope) table() []string { return []string{s.arn("dynamodb", "table/"+s.Table)} }
func (s Scope) blobs() []string { return []string{s.arn("s3", s.Bucket+"/blobs/*")} }

// InstanceRole is the name of the role, and of the profile, that the provider makes for a farm's instances.
func InstanceRole(farm string) string { return "farmhand-" + farm + "-instance" }

func (s Scope) instanceRoles() (arns []string) {
	names := slices.Clone(s.InstanceRoles)
	if len(names) == 0 {
		for _, f := range s.Farms {
			names = append(names, InstanceRole(f))
		}
	}
	if len(names) == 0 {
		names = []string{InstanceRole("*")}
	}
	for _, n := range names {
		arns = append(arns, s.arn("iam", "role/"+n))
	}
	return arns
}

// onFarms is the condition that a tag has one of the farms as its value. A thing without the tag does not match "*".
func (s Scope) onFarms(key string) Condition {
	if len(s.Farms) == 0 {
		return Condition{"StringLike": {key + "/" + FarmTag: {"*"}}}
	}
	return Condition{"StringEquals": {key + "/" + FarmTag: s.Farms}}
}

func (s Scope) tagged() Condition    { return s.onFarms("aws:ResourceTag") }
func (s Scope) requested() Condition { return s.onFarms("aws:RequestTag") }

// storeMeta is the hash of the item that marks a table as a store.
const storeMeta = "@farmhand"

// Agents is the partition's hash that a farm's agents write to.
func Agents(farm string) string { return farm + "@agents" }

// Private is the hash of what a farm's instances may not read.
func Private(farm string) string { return farm + "@sidecar" }

// partitions is the condition that a request names nothing but these hash keys. See
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
func partitions(hashes ...string) Condition {
	return Condition{"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": hashes}}
}

// farmPartitions are those of the scope's farms and what farms share; nil for the whole table.
func (s Scope) farmPartitions() Condition {
	if len(s.Farms) == 0 {
		return nil
	}
	hashes := []string{state.Shared, storeMeta}
	for _, f := range s.Farms {
		hashes = append(hashes, f, Agents(f), Private(f))
	}
	return partitions(hashes...)
}
