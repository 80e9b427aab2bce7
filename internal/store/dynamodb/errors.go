package dynamodb

import (
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// explain makes one of the store's errors of AWS', with the way out.
func (s *Store) explain(err error) error {
	for _, ours := range []error{store.ErrNotFound, store.ErrConflict, store.ErrFenced, store.ErrIncompatible, store.ErrInvalid, store.ErrClosed, store.ErrUnavailable, store.ErrDenied} {
		if errors.Is(err, ours) {
			return err
		}
	}
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) {
		return fmt.Errorf("%w: there is no table %s in %s: was it deleted?", store.ErrUnavailable, s.table, s.region)
	}
	var refused smithy.APIError
	if !errors.As(err, &refused) {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	switch code := refused.ErrorCode(); code {
	case "AccessDeniedException", "AccessDenied":
		action := "an action"
		var operation *smithy.OperationError
		if errors.As(err, &operation) {
			action = "dynamodb:" + operation.OperationName
		}
		return fmt.Errorf("%w: %s on table %s: allow it to these credentials, for the partition at hand (AWS says: %s)", store.ErrDenied, action, s.table, refused.ErrorMessage())
	case "UnrecognizedClientException", "ExpiredTokenException", "ExpiredToken", "InvalidSignatureException", "InvalidClientTokenId",
		"IncompleteSignatureException", "MissingAuthenticationTokenException":
		return fmt.Errorf("%w: AWS refuses the credentials (%s: %s): renew the session, or see which profile and clock this machine has", store.ErrDenied, code, refused.ErrorMessage())
	case "ValidationException", "SerializationException":
		return fmt.Errorf("%w: table %s: %s", store.ErrInvalid, s.table, refused.ErrorMessage())
	default:
		return fmt.Errorf("%w: table %s in %s: %w", store.ErrUnavailable, s.table, s.region, err)
	}
}
