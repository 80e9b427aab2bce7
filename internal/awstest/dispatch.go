package awstest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

// global are the services whose requests are signed for us-east-1 wherever one is; with an endpoint of its own, an SDK signs
// them for the region that it was given.
var global = []string{"iam", "route53"}

// ServeHTTP finds the service by the scope that the request is signed for, and lets it answer unless the caller is
// nobody or a fault was asked for.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	caller, err := wire.ParseCaller(r)
	service, known := s.services[caller.Service]
	switch {
	case err != nil && caller.Service == "":
		s.services["ec2"].Refuse(w, r, err)
		return
	case !known:
		s.services["ec2"].Refuse(w, r, wire.Errorf("UnknownService", "nothing here answers for the service %q", caller.Service).With(http.StatusNotFound))
		return
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		if err := r.ParseForm(); err != nil {
			service.Refuse(w, r, wire.Errorf("MalformedQueryString", "The query string contains a syntax error: %v", err))
			return
		}
	}
	action, err := service.Action(r)
	if err == nil {
		err = s.admit(&caller)
	}
	if err == nil {
		err = s.fault(caller, action)
	}
	recorder := &status{ResponseWriter: w, code: http.StatusOK}
	if err != nil {
		service.Refuse(recorder, r, err)
	} else {
		service.Serve(recorder, r, caller)
	}
	s.record(Call{Service: caller.Service, Action: action, At: s.world.Now(), Status: recorder.code})
}

// admit tells whether the keys are good and were used for this region.
func (s *Server) admit(c *wire.Caller) *wire.Error {
	s.world.Lock()
	defer s.world.Unlock()
	invalid := wire.Errorf("InvalidClientTokenId", "The security token included in the request is invalid.").With(http.StatusForbidden)
	switch c.Service {
	case "ec2":
		invalid = wire.Errorf("AuthFailure", "AWS was not able to validate the provided access credentials").With(http.StatusUnauthorized)
	case "s3":
		invalid = wire.Errorf("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.").With(http.StatusForbidden)
	}
	if s.invalidKey(c.AccessKey) {
		return invalid
	}
	c.ARN = "arn:aws:iam::" + s.world.Account + ":user/tester"
	if c.Token != "" || strings.HasPrefix(c.AccessKey, "ASIA") {
		session, ok := s.world.Session(c.AccessKey)
		if !ok || session.Token != c.Token {
			return invalid
		}
		if s.world.Now().After(session.Expires) {
			if c.Service == "ec2" {
				return wire.Errorf("RequestExpired", "Request has expired.")
			}
			return wire.Errorf("ExpiredToken", "The security token included in the request is expired").With(http.StatusForbidden)
		}
		c.ARN = session.ARN
	}
	want := s.world.Region
	if c.Region == want || c.Region == "us-east-1" && slices.Contains(global, c.Service) {
		return nil
	}
	switch c.Service {
	case "ec2":
		return invalid
	case "s3":
		e := wire.Errorf("AuthorizationHeaderMalformed", "The authorization header is malformed; the region '%s' is wrong; expecting '%s'", c.Region, want)
		e.Detail = map[string]string{"Region": want}
		return e
	}
	return wire.Errorf("SignatureDoesNotMatch", "Credential should be scoped to a valid region.").With(http.StatusForbidden)
}

// status remembers what was answered.
type status struct {
	http.ResponseWriter
	code int
}

// WriteHeader implements http.ResponseWriter.
func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}
