package awstest

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

// Call is one request that the server answered.
type Call struct {
	Service string // as in credential scopes: "ec2", "elasticloadbalancing", "route53", ...
	Action  string // "RunInstances"
	At      time.Time
	Status  int // HTTP status of the answer
}

// Calls are the calls so far, in order.
type Calls []Call

// Count is the number of calls of an action: "RunInstances", or "ec2:RunInstances"; "ec2:*" for a service's.
func (c Calls) Count(action string) int {
	n := 0
	for _, call := range c {
		if matches(action, call.Service, call.Action) {
			n++
		}
	}
	return n
}

// matches tells whether a name, with or without its service, means an action.
func matches(name, service, action string) bool {
	if s, a, ok := strings.Cut(name, ":"); ok {
		return s == service && (a == "*" || a == action)
	}
	return name == action
}

// faults are what a test asked for, and the record of calls.
type faults struct {
	sync.Mutex
	calls  Calls
	denied []string
	keys   []string
	next   []fault
}

// fault is an error that the next n calls of an action get.
type fault struct {
	action string
	err    *wire.Error // nil: throttled, in the service's own words
	n      int
}

// Calls returns the calls since the start or the last ResetCalls.
func (s *Server) Calls() Calls {
	s.faults.Lock()
	defer s.faults.Unlock()
	return slices.Clone(s.faults.calls)
}

// ResetCalls forgets the calls so far.
func (s *Server) ResetCalls() {
	s.faults.Lock()
	defer s.faults.Unlock()
	s.faults.calls = nil
}

func (s *Server) record(c Call) {
	s.faults.Lock()
	defer s.faults.Unlock()
	s.faults.calls = append(s.faults.calls, c)
}

// Throttle refuses the next n calls of an action as the service says that one calls too often. Actions are named as for
// Count.
func (s *Server) Throttle(action string, n int) { s.add(fault{action: action, n: n}) }

// Fail answers the next n calls of an action with an error; n < 0 is for ever. Codes that say so are answered with HTTP
// status 500 or 503.
func (s *Server) Fail(action, code string, n int) {
	e := wire.Errorf(code, "%s, as the test asked for.", code)
	switch code {
	case "InternalError", "InternalFailure", "ServerInternal":
		e.Status = http.StatusInternalServerError
	case "Unavailable", "ServiceUnavailable", "SlowDown", "RequestLimitExceeded":
		e.Status = http.StatusServiceUnavailable
	}
	s.add(fault{action: action, err: e, n: n})
}

func (s *Server) add(f fault) {
	s.faults.Lock()
	defer s.faults.Unlock()
	s.faults.next = append(s.faults.next, f)
}

// Deny takes the permission for actions away; Allow gives it back.
func (s *Server) Deny(actions ...string) {
	s.faults.Lock()
	defer s.faults.Unlock()
	s.faults.denied = append(s.faults.denied, actions...)
}

// Allow ends Deny and Fail for actions.
func (s *Server) Allow(actions ...string) {
	s.faults.Lock()
	defer s.faults.Unlock()
	s.faults.denied = slices.DeleteFunc(s.faults.denied, func(a string) bool { return slices.Contains(actions, a) })
	s.faults.next = slices.DeleteFunc(s.faults.next, func(f fault) bool { return slices.Contains(actions, f.action) })
}

// InvalidKey makes an access key one that AWS does not know.
func (s *Server) InvalidKey(accessKey string) {
	s.faults.Lock()
	defer s.faults.Unlock()
	s.faults.keys = append(s.faults.keys, accessKey)
}

func (s *Server) invalidKey(key string) bool {
	s.faults.Lock()
	defer s.faults.Unlock()
	return slices.Contains(s.faults.keys, key)
}

// fault is the error that a call gets because a test asked for it.
func (s *Server) fault(c wire.Caller, action string) *wire.Error {
	s.faults.Lock()
	defer s.faults.Unlock()
	for _, d := range s.faults.denied {
		if matches(d, c.Service, action) {
			return unauthorized(c, action)
		}
	}
	for i := range s.faults.next {
		f := &s.faults.next[i]
		if f.n == 0 || !matches(f.action, c.Service, action) {
			continue
		}
		f.n--
		if f.err != nil {
			return f.err
		}
		return throttled(c.Service)
	}
	return nil
}

func unauthorized(c wire.Caller, action string) *wire.Error {
	why := "User: " + c.ARN + " is not authorized to perform: " + c.Service + ":" + action + " because no identity-based policy allows the " + c.Service + ":" + action + " action"
	code := "AccessDenied"
	switch c.Service {
	case "ec2":
		code, why = "UnauthorizedOperation", "You are not authorized to perform this operation. "+why
	case "logs":
		code = "AccessDeniedException"
	}
	return wire.Errorf(code, "%s", why).With(http.StatusForbidden)
}

func throttled(service string) *wire.Error {
	switch service {
	case "ec2":
		return wire.Errorf("RequestLimitExceeded", "Request limit exceeded.").With(http.StatusServiceUnavailable)
	case "s3":
		return wire.Errorf("SlowDown", "Please reduce your request rate.").With(http.StatusServiceUnavailable)
	case "logs":
		return wire.Errorf("ThrottlingException", "Rate exceeded")
	}
	return wire.Errorf("Throttling", "Rate exceeded")
}
