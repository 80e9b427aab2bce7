package awsconfig

import (
	"context"
	"errors"
	"fmt"
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
