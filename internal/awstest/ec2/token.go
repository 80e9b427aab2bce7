package ec2

import (
	"encoding/json"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

// token is what a client token was used for.
type token struct {
	params string
	result any
}

// once runs do unless the same client token has been used for the same action: then the first result is returned again,
// or IdempotentParameterMismatch for other parameters. In's client token must be cleared in params.
func once[T any](s *Service, c *wire.Context, action, clientToken string, params any, do func() (T, error)) (T, error) {
	var none T
	if len(clientToken) > 64 {
		return none, wire.Errorf("InvalidParameterValue", "The client token exceeds the maximum length of 64 ASCII characters.")
	}
	if clientToken == "" {
		return do()
	}
	key := action + " " + clientToken
	text, err := json.Marshal(params)
	if err != nil {
		return none, err
	}
	if t, ok := s.tokens[key]; ok {
		if t.params != string(text) {
			return none, wire.Errorf("IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
		}
		if err := c.Commit(); err != nil {
			return none, err
		}
		return t.result.(T), nil
	}
	out, err := do()
	if err == nil {
		s.tokens[key] = token{params: string(text), result: out}
	}
	return out, err
}
