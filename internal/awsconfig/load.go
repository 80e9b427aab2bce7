package awsconfig

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
)

// sessionName is what CloudTrail shows of an assumed role that was given no name.
const sessionName = "farmhand"

// Load makes the configuration. It calls no service; whether the credentials are any good is Identify's to
// find out. Clients made from it with NewFromConfig have the endpoints that
// Config names, and S3's use path style where its endpoint is not AWS' own.
func Load(ctx context.Context, c Config) (aws.Config, error) {
	cfg, err := load(ctx, c)
	if err != nil {
		return aws.Config{}, fmt.Errorf("configuring AWS: %w", err)
	}
	return cfg, nil
}

func load(ctx context.Context, c Config) (aws.Config, error) {
	if err := c.Check(); err != nil {
		return aws.Config{}, err
	}
	var options []func(*config.LoadOptions) error
	add := func(said bool, o config.LoadOptionsFunc) {
		if said {
			options = append(options, o)
		}
	}
	add(c.Region != "", config.WithRegion(c.Region))
	add(c.Profile != "", config.WithSharedConfigProfile(c.Profile))
	add(len(c.SharedConfigFiles) > 0, config.WithSharedConfigFiles(c.SharedConfigFiles))
	add(len(c.SharedCredentialsFiles) > 0, config.WithSharedCredentialsFiles(c.SharedCredentialsFiles))
	add(c.UseFIPSEndpoint, config.WithUseFIPSEndpoint(aws.FIPSEndpointStateEnabled))
	add(c.UseDualStackEndpoint, config.WithUseDualStackEndpoint(aws.DualStackEndpointStateEnabled))
	add(c.MaxRetries > 0, config.WithRetryMaxAttempts(c.MaxRetries+1))
	add(c.AccessKey != "", config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(c.AccessKey, c.SecretKey, c.Token)))
	if c.RetryMode != "" {
		mode, err := aws.ParseRetryMode(c.RetryMode)
		if err != nil {
			return aws.Config{}, err
		}
		add(true, config.WithRetryMode(mode))
	}
	if c.CustomCABundle != "" {
		pem, err := os.ReadFile(c.CustomCABundle)
		if err != nil {
			return aws.Config{}, fmt.Errorf("custom_ca_bundle: %w", err)
		}
		add(true, config.WithCustomCABundle(bytes.NewReader(pem)))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, err
	}
	if cfg.Region == "" {
		return aws.Config{}, fmt.Errorf("no region: say region in the provider block, or set AWS_REGION, or a region in the profile")
	}
	if cfg.RetryMode == "" {
		cfg.RetryMode = aws.RetryModeAdaptive
	}
	cfg.AppID = "farmhand"
	cfg = WithEndpoints(cfg, c.Endpoints)
	if r := c.AssumeRole; r != nil {
		cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), r.RoleARN, r.options))
	}
	return cfg, nil
}

func (r *AssumeRole) options(o *stscreds.AssumeRoleOptions) {
	o.RoleSessionName, o.Duration = r.SessionName, r.Duration
	if o.RoleSessionName == "" {
		o.RoleSessionName = sessionName
	}
	if o.Duration == 0 {
		// The SDK's own is the shortest there is; STS' is an hour.
		o.Duration = defaultSession
	}
	optional := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	o.ExternalID, o.Policy, o.SourceIdentity = optional(r.ExternalID), optional(r.Policy), optional(r.SourceIdentity)
	o.TransitiveTagKeys = r.TransitiveTagKeys
	for _, arn := range r.PolicyARNs {
		o.PolicyARNs = append(o.PolicyARNs, ststypes.PolicyDescriptorType{Arn: aws.String(arn)})
	}
	for k, v := range r.Tags {
		o.Tags = append(o.Tags, ststypes.Tag{Key: aws.String(k), Value: aws.String(v)})
	}
}

// WithEndpoints is cfg with the endpoints of services, named as in Config.Endpoints; they win over those that cfg has.
func WithEndpoints(cfg aws.Config, byService map[string]string) aws.Config {
	cfg = cfg.Copy()
	cfg.ServiceOptions = append(slices.Clone(cfg.ServiceOptions), endpoints(byService))
	return cfg
}

// endpoints makes the callback that every client's NewFromConfig calls with its Options. That comes after the SDK has
// looked at environment and profile, which is what lets an endpoint of the provider block win over them. The Options are a
// type of each service's own with the same field, set by reflection: else this package would link every service.
func endpoints(byService map[string]string) func(string, any) {
	urls, ids := map[string]string{}, services()
	for name, url := range byService {
		urls[ids[name]] = url
	}
	return func(service string, options any) {
		o := reflect.ValueOf(options)
		if o.Kind() != reflect.Pointer || o.Elem().Kind() != reflect.Struct {
			return
		}
		endpoint := o.Elem().FieldByName("BaseEndpoint")
		if url, ok := urls[service]; ok && endpoint.IsValid() && endpoint.CanSet() {
			endpoint.Set(reflect.ValueOf(&url))
		}
		if service != ids["s3"] || !endpoint.IsValid() || endpoint.IsNil() {
			return
		}
		// A bucket as a host name needs a nameserver that knows it, which only AWS has.
		if style := o.Elem().FieldByName("UsePathStyle"); style.IsValid() && style.CanSet() {
			style.SetBool(true)
		}
	}
}
