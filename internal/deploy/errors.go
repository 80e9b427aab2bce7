package deploy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/smithy-go"
)

// ErrGone: what was looked for does not exist, as opposed to that it could not be looked for.
var ErrGone = errors.New("it does not exist")

// code is AWS' code of an error; "" if it is none of AWS'.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func is(err error, codes ...string) bool { return err != nil && slices.Contains(codes, code(err)) }

// doing wraps an error with what was being done. One that says that it is not permitted names the permission and how
// to get it; others keep AWS' own words.
func doing(what, action string, err error) error {
	switch {
	case err == nil:
		return nil
	case is(err, "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthFailure"):
		return fmt.Errorf("%s: these credentials lack the permission %s; farmhand iam-policy --for provider prints all that are needed: %w", what, action, err)
	case strings.HasSuffix(code(err), "LimitExceeded"), is(err, "LimitExceededException"):
		return fmt.Errorf("%s: a quota of the account is reached; raise it in Service Quotas, or remove what is not needed: %w", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
