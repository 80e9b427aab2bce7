package awsconfig_test

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/aws/smithy-go"

	"github.com/farmhand/terraform-provider-farmhand/internal/awsconfig"
)

// TestReach: that there are no credentials, and that a region is not known, is said with the way out; an answer of AWS' stays as it is.
func TestReach(t *testing.T) {
	noAWS(t, "AWS_REGION", "eu-wset-1")
	none := load(t, awsconfig.Config{SharedCredentialsFiles: []string{os.DevNull}})
	failed := errors.New("get credentials: failed")
	if err := awsconfig.Reach(t.Context(), none, failed); err == nil || !strings.Contains(err.Error(), "there are no AWS credentials: set profile") {
		t.Errorf("without credentials: %v", err)
	}
	some := load(t, awsconfig.Config{AccessKey: "A", SecretKey: "s"})
	lookup := &net.DNSError{Err: "no such host", Name: "dynamodb.eu-wset-1.amazonaws.com", IsNotFound: true}
	if err := awsconfig.Reach(t.Context(), some, lookup); !errors.Is(err, lookup) || !strings.Contains(err.Error(), `region "eu-wset-1" is spelled`) {
		t.Errorf("with a region that is not there: %v", err)
	}
	answer := &smithy.GenericAPIError{Code: "AccessDenied"}
	for _, err := range []error{answer, failed, nil} {
		if got := awsconfig.Reach(t.Context(), some, err); got != err { //nolint:errorlint // the very same is meant
			t.Errorf("%v became %v", err, got)
		}
	}
}
