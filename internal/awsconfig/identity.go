package awsconfig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// defaultSession is how long an assumed role's session lasts, as STS has it where nothing is said.
const defaultSession = time.Hour

// Identity is who calls.
type Identity struct {
	Account string // twelve digits
	ARN     string
}

// Identify asks STS who these credentials are. Its error names what is missing, and the way out.
func Identify(ctx context.Context, cfg aws.Config) (Identity, error) {
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err == nil {
		return Identity{Account: aws.ToString(out.Account), ARN: aws.ToString(out.Arn)}, nil
	}
	var refused smithy.APIError
	if ctx.Err() == nil && errors.As(err, &refused) {
		return Identity{}, fmt.Errorf("asking AWS in %s who is calling: it refuses these credentials (%s: %s): "+
			"check the profile or AWS_ACCESS_KEY_ID, whether the session has expired, and the role to assume", cfg.Region, refused.ErrorCode(), refused.ErrorMessage())
	}
	return Identity{}, fmt.Errorf("asking AWS in %s who is calling: %w: "+
		"credentials come from the environment (AWS_PROFILE, AWS_ACCESS_KEY_ID), the shared files or the instance's profile", cfg.Region, err)
}

// Reach explains an error of a call to AWS that did not get as far as an answer: no credentials, or a region that has no such service. It
// returns other errors as they are, nil too.
func Reach(ctx context.Context, cfg aws.Config, err error) error {
	var answered smithy.APIError
	if err == nil || ctx.Err() != nil || errors.As(err, &answered) {
		return err
	}
	if cfg.Credentials != nil {
		if _, failed := cfg.Credentials.Retrieve(ctx); failed != nil && ctx.Err() == nil {
			return fmt.Errorf("there are no AWS credentials: set profile in the provider's block, AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "+
				"or run on an instance with a profile: %w", failed)
		}
	}
	var lookup *net.DNSError
	if errors.As(err, &lookup) && lookup.IsNotFound {
		return fmt.Errorf("%s is not known: check that region %q is spelled as AWS does, and that it has the service: %w", lookup.Name, cfg.Region, err)
	}
	return err
}
