package memcached

import (
	"context"
	"errors"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
)

// New implements behavior.Behavior.
func (Behavior) New(in behavior.Instance) behavior.Runner { return &runner{in} }

type runner struct{ behavior.Instance }

var errNotYet = errors.New("memcached cannot be run yet")

func (*runner) Setup(context.Context, behavior.Input, func(string)) error { return errNotYet }
func (*runner) Apply(context.Context, behavior.Input) error               { return errNotYet }
func (*runner) Check(context.Context) error                               { return errNotYet }
func (*runner) Stop(context.Context) error                                { return nil }
