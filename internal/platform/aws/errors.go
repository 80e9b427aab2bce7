package aws

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

// complaint is what an error code of EC2 or ELB means. Codes are those of
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
type complaint struct {
	codes  []string // a trailing "*" stands for any ending
	class  error
	advice string
}

// explained is an error of AWS' with its class and, apart, the way out. Its text has all of it.
type explained struct {
	summary string // what was being done, and what AWS said to it
	advice  string // the way out; may be empty
	class   error  // nil for none
	cause   error  // nil for none
}

// Error implements error.
func (e *explained) Error() string {
	text := e.summary
	if e.advice != "" {
		text += ": " + e.advice
	}
	if e.class != nil {
		text += ": " + e.class.Error()
	}
	return text
}

// Unwrap gives class and cause to errors.Is and errors.As.
func (e *explained) Unwrap() []error {
	var of []error
	for _, err := range []error{e.class, e.cause} {
		if err != nil {
			of = append(of, err)
		}
	}
	return of
}

var complaints = sync.OnceValue(func() []complaint {
	return []complaint{
		{[]string{"VcpuLimitExceeded", "InstanceLimitExceeded"}, platform.ErrCapacity, "the account's quota of running On-Demand vCPUs is used up: lower max, or ask for more at Service Quotas, Amazon EC2, \"Running On-Demand ... instances\""},
		{[]string{"MaxSpotInstanceCountExceeded", "SpotInstanceCountLimitExceeded"}, platform.ErrCapacity, "the account's quota of Spot vCPUs is used up: lower aws.spot, or ask for more at Service Quotas, Amazon EC2, \"All ... Spot Instance Requests\""},
		{[]string{"VolumeLimitExceeded", "MaxIOPSLimitExceeded", "MaxStorageLimitExceeded"}, platform.ErrCapacity, "the account's quota of EBS storage is used up: ask for more at Service Quotas, Amazon EBS"},
		{[]string{"AddressLimitExceeded"}, platform.ErrCapacity, "the account's quota of Elastic IP addresses is used up (5 by default): release some, or ask for more at Service Quotas, Amazon EC2, \"EC2-VPC Elastic IPs\""},
		{[]string{"SnapshotLimitExceeded"}, platform.ErrCapacity, "the account's quota of EBS snapshots is used up: keep fewer, delete old ones, or ask for more at Service Quotas, Amazon EBS, \"Snapshots per Region\""},
		{[]string{"ConcurrentSnapshotLimitExceeded", "PendingSnapshotLimitExceeded"}, platform.ErrCapacity, "EBS takes no more snapshots of this volume at a time (five of most types, one of st1 and sc1; deleted ones count until they would have been done): it has room again once they are"},
		{[]string{"NetworkInterfaceLimitExceeded", "ResourceLimitExceeded", "*LimitExceeded"}, platform.ErrCapacity, "a quota of the account is used up: Service Quotas names it and takes requests for more"},
		{[]string{"InsufficientFreeAddressesInSubnet"}, platform.ErrCapacity, "a subnet has no free address: add one to aws.subnet_ids"},
		{[]string{"TooManyTargets", "TooManyRegistrationsForTargetId"}, platform.ErrCapacity, "a quota of the load balancer is used up: ask for more at Service Quotas, Elastic Load Balancing"},
		{[]string{"InsufficientInstanceCapacity", "InsufficientHostCapacity", "InsufficientCapacity", "UnfulfillableCapacity", "InsufficientVolumeCapacity", "SpotMaxPriceTooLow"}, platform.ErrCapacity, "EC2 has none to give just now: name further instance types or subnets in other zones"},

		// Another market is tried meanwhile: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/service-linked-roles-spot-instance-requests.html
		{[]string{"AuthFailure.ServiceLinkedRoleCreationNotPermitted"}, platform.ErrCapacity, "the account has never used Spot, and these credentials may not make the role that it needs: once for the account, `aws iam create-service-linked-role --aws-service-name spot.amazonaws.com`"},

		{[]string{"InvalidAMIID.*", "InvalidAMI.*"}, platform.ErrInvalid, "check aws.ami (or the role's image): it must exist in this region and be yours, public or shared with this account"},
		{[]string{"InvalidSubnetID.*", "InvalidSubnet*"}, platform.ErrInvalid, "check aws.subnet_ids: each must be a subnet of this account in this region"},
		{[]string{"InvalidGroup.*", "InvalidGroupId.*", "InvalidSecurityGroupID.*", "InvalidSecurityGroup.*"}, platform.ErrInvalid, "check aws.security_group_ids: each must be a group of the subnets' VPC"},
		{[]string{"InvalidKeyPair.*"}, platform.ErrInvalid, "check aws.key_name: the key pair must exist in this region"},
		{[]string{"InvalidInstanceType*"}, platform.ErrInvalid, "check aws.instance_types"},
		{[]string{"TargetGroupNotFound"}, platform.ErrInvalid, "check aws.target_group_arns"},
		{[]string{"InvalidTarget"}, platform.ErrInvalid, "check aws.target_group_arns: the group must be of the instances' VPC, for targets by instance or by IP address"},
		{[]string{"OperationNotPermitted"}, platform.ErrInvalid, "the machine is protected against termination: take that off (`aws ec2 modify-instance-attribute --no-disable-api-termination --instance-id ...`)"},
		{[]string{"OptInRequired", "PendingVerification", "Blocked"}, platform.ErrInvalid, "the account must accept the image's terms in AWS Marketplace, or be verified by AWS, first"},
		{[]string{"InvalidKMSKey.*", "KMSKey*", "InvalidKmsKey*"}, platform.ErrInvalid, "check volume.kms_key: the key must be enabled, and its policy must let this account's EBS use it"},

		{[]string{"SnapshotCreationPerVolumeRateExceeded"}, platform.ErrUnavailable, "EBS takes a snapshot of a volume every 15 seconds at most; it is asked again later"},
		{[]string{"InvalidSnapshot.InUse"}, platform.ErrInvalid, "an AMI rests on the snapshot: deregister it first (`aws ec2 describe-images --owners self --filters Name=block-device-mapping.snapshot-id,Values=snap-...`)"},
		{[]string{"RequestLimitExceeded", "Throttling*", "ThrottledException", "RequestThrottled*", "TooManyRequests*", "EC2ThrottledException"}, platform.ErrUnavailable, "AWS asks to slow down; it is asked again later"},
		{[]string{"InternalError", "InternalFailure", "InternalServerError", "ServiceUnavailable", "Unavailable", "ServerInternal", "RequestTimeout*", "RequestResourceCountExceeded"}, platform.ErrUnavailable, "AWS has a fault of its own; it is asked again later"},
		{[]string{"AuthFailure", "ExpiredToken*", "InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestExpired", "MissingAuthenticationToken", "IncompleteSignature"}, platform.ErrUnavailable, "AWS does not accept the credentials: check them, their account and region, and this machine's clock (`aws sts get-caller-identity`)"},
	}
})

// explain wraps an error of the SDK with what was being done, its class and a way out. nil stays nil.
func explain(err error, doing string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, platform.ErrUnavailable) || errors.Is(err, platform.ErrCapacity) || errors.Is(err, platform.ErrInvalid):
		return fmt.Errorf("%s: %w", doing, err)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", doing, err)
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		e := explainCode(api.ErrorCode(), api.ErrorMessage(), doing, status(err))
		e.cause = err
		return e
	}
	var network net.Error
	var unsent *smithyhttp.RequestSendError
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) || errors.As(err, &unsent) || errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("%s: AWS did not answer: %w: %w", doing, err, platform.ErrUnavailable)
	}
	if text := err.Error(); strings.Contains(text, "credentials") || strings.Contains(text, "get identity") {
		return &explained{summary: doing + ": no AWS credentials: " + text, advice: "set AWS_PROFILE or AWS_ACCESS_KEY_ID, or run where an instance profile gives them", class: platform.ErrUnavailable, cause: err}
	}
	if s := status(err); s >= 500 {
		return fmt.Errorf("%s: %w: %w", doing, err, platform.ErrUnavailable)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// explainCode is explain for a code and a message, as CreateFleet returns them within an answer.
func explainCode(code, message, doing string, httpStatus int) *explained {
	e := &explained{summary: doing + ": " + code + ": " + strings.TrimSuffix(message, "."), class: platform.ErrInvalid}
	if isDenied(code) {
		what := "an action"
		if action := deniedAction(message); action != "" {
			what = action
		}
		e.summary = doing + ": the credentials lack the permission " + what + ": " + strings.TrimPrefix(e.summary, doing+": ")
		e.advice = "add it to their policy (`farmhand iam-policy` prints what is needed)"
		return e
	}
	lower := strings.ToLower(message)
	switch {
	case strings.Contains(lower, "iaminstanceprofile") || strings.Contains(lower, "iam instance profile"):
		e.advice = profileAdvice
		return e
	case strings.Contains(lower, "architecture"):
		e.advice = "aws.ami and aws.instance_types are made for different processors"
		return e
	case code == "AuthFailure" && strings.Contains(lower, "not authorized for images"): // the credentials are good, the image is not theirs
		code = "InvalidAMIID.NotFound"
	}
	for _, c := range complaints() {
		if slices.ContainsFunc(c.codes, func(pattern string) bool { return matches(pattern, code) }) {
			e.advice, e.class = c.advice, c.class
			return e
		}
	}
	switch {
	case httpStatus >= 500 || httpStatus == 429:
		e.class = platform.ErrUnavailable
	case strings.HasPrefix(code, "Invalid") || strings.HasPrefix(code, "Missing") || code == "Unsupported" || code == "UnsupportedOperation" || code == "ValidationError":
	default:
		e.class = nil
	}
	return e
}

const profileAdvice = "check aws.instance_profile: the profile must exist, and a new one takes some seconds to be known"

func matches(pattern, code string) bool {
	if tail, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(code, tail) && code != "RequestLimitExceeded"
	}
	if head, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(code, head)
	}
	return pattern == code
}

func isDenied(code string) bool {
	return code == "UnauthorizedOperation" || strings.HasPrefix(code, "AccessDenied")
}

var performed = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`perform:? ([a-z0-9-]+:[A-Za-z]+)`) })

// deniedAction finds the action in "... is not authorized to perform: ec2:RunInstances on resource ...".
func deniedAction(message string) string {
	if m := performed().FindStringSubmatch(message); m != nil {
		return m[1]
	}
	return ""
}

// code is the service's name for an error; "" where it did not answer.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func status(err error) int {
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
}

// isThrottled tells that the service did not look at the request, for there were too many.
func isThrottled(err error) bool {
	c := code(err)
	return c == "RequestLimitExceeded" || strings.HasPrefix(c, "Throttl") || strings.HasPrefix(c, "RequestThrottled") || c == "EC2ThrottledException"
}

// isUnknown tells that the resource does not exist (any more), whatever its kind.
func isUnknown(err error) bool {
	c := code(err)
	return strings.HasSuffix(c, ".NotFound") || strings.HasSuffix(c, ".Malformed") || strings.HasSuffix(c, "NotFoundException")
}
