package awstest

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/autoscaling"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/ec2"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/elb"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/iam"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/logs"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/route53"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/s3"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

// Options are what holds throughout a test. The zero value is a fast, quiet region.
type Options struct {
	Region  string           // "eu-west-1"
	Account string           // "123456789012"
	Now     func() time.Time // the clock that states follow; time.Now

	StartDelay time.Duration // an instance is pending for so long
	StopDelay  time.Duration // shutting-down or stopping for so long
	ListLag    time.Duration // a new instance or snapshot is unknown to Describe calls for so long
	ProfileLag time.Duration // a new instance profile is unknown to EC2 for so long
	PageSize   int           // at most so many entries on any page; 0: each API's own maximum

	// Listen is the address to listen at, "127.0.0.1:0" if empty. InProcess listens nowhere: only Config's client
	// reaches the server, and a testing/synctest bubble may hold both.
	Listen    string
	InProcess bool

	// Backing makes instances real; nil leaves them records.
	Backing ec2.Backing
}

// Server is the stand-in. Its methods may be called concurrently.
type Server struct {
	// URL is the endpoint of every service: what AWS_ENDPOINT_URL is set to.
	URL string

	// EC2 is where instances crash and capacity ends.
	EC2 *ec2.Service
	// ELB is where targets' health is set, and the others where tests look at what was made.
	ELB         *elb.Service
	AutoScaling *autoscaling.Service
	Route53     *route53.Service
	IAM         *iam.Service
	S3          *s3.Service
	Logs        *logs.Service

	world    *wire.World
	services map[string]wire.Service // by the name in a credential scope
	faults   faults
	http     *httptest.Server
}

// New starts a stand-in with the things of Seed in it. Close ends it.
func New(o Options) *Server {
	if o.Region == "" {
		o.Region = "eu-west-1"
	}
	if o.Account == "" {
		o.Account = "123456789012"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	w := wire.NewWorld(o.Region, o.Account, o.Now)
	w.PageSize = o.PageSize
	s := &Server{world: w, URL: "http://aws.invalid"}
	s.register(o)
	if !o.InProcess {
		s.listen(o.Listen)
	}
	w.URL = s.URL
	return s
}

func (s *Server) listen(address string) {
	s.http = httptest.NewUnstartedServer(s)
	if address != "" {
		l, err := net.Listen("tcp", address)
		if err != nil {
			panic("awstest: listening at " + address + ": " + err.Error())
		}
		s.http.Listener.Close() //nolint:errcheck // never used
		s.http.Listener = l
	}
	s.http.Start()
	s.URL = s.http.URL
}

// Close ends the server, and the instances' backing.
func (s *Server) Close() {
	if s.http != nil {
		s.http.Close()
	}
	s.EC2.Close()
}

// Config is how the SDK's clients reach the server, with the keys of an administrator.
func (s *Server) Config() aws.Config {
	return aws.Config{
		Region:       s.world.Region,
		BaseEndpoint: aws.String(s.URL),
		HTTPClient:   s.Client(),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIAFARMHANDTEST0000", SecretAccessKey: "secret"}, nil
		}),
	}
}

// Client is an HTTP client that reaches the server without a network.
func (s *Server) Client() *http.Client { return &http.Client{Transport: direct{s}} }

// direct hands requests to the server in the caller's own goroutine.
type direct struct{ s *Server }

// RoundTrip implements http.RoundTripper.
func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if in.Host == "" {
		in.Host = in.URL.Host
	}
	in.RequestURI = in.URL.RequestURI()
	rec := httptest.NewRecorder()
	d.s.ServeHTTP(rec, in)
	out := rec.Result()
	out.Request = r
	return out, nil
}
