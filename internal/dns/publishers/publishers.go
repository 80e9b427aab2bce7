// Package publishers is the registry of the places that names are published in.
package publishers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/farmhand/terraform-provider-farmhand/internal/awsconfig"
	"github.com/farmhand/terraform-provider-farmhand/internal/dns"
	"github.com/farmhand/terraform-provider-farmhand/internal/dns/rfc2136"
	"github.com/farmhand/terraform-provider-farmhand/internal/dns/route53"
	"github.com/farmhand/terraform-provider-farmhand/internal/dns/webhook"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// Target is one place: all of a farm's names that go there are published together. Exactly one of the pointers is set.
type Target struct {
	Route53 *spec.Route53 `json:"route53,omitempty"`
	RFC2136 *spec.RFC2136 `json:"rfc2136,omitempty"`
	Webhook *spec.Webhook `json:"webhook,omitempty"`
	// Record is the declared record whose secret is used; "" for none.
	Record string `json:"record,omitempty"`
	// Zone, if not "", is a zone that the hosted zone must hold.
	Zone string `json:"zone,omitempty"`
}

// Of is where a declared record is published; false for the farm's own zone.
func Of(d spec.DNSRecord) (Target, bool) {
	t := Target{Route53: d.Route53, RFC2136: d.RFC2136, Webhook: d.Webhook}
	if d.SecretVersion() != 0 {
		t.Record = d.Name
	}
	if d.Webhook != nil {
		t.Record = d.Name
	}
	return t, d.Elsewhere()
}

// ID names the place: records with the same one are published together. A webhook is one record's.
func (t Target) ID() string {
	switch {
	case t.Route53 != nil:
		return "Route 53 zone " + t.Route53.HostedZoneID
	case t.RFC2136 != nil:
		id := fmt.Sprintf("zone %s at nameserver %s", t.RFC2136.Zone, t.RFC2136.Server)
		if t.RFC2136.KeyName != "" {
			id += " by key " + t.RFC2136.KeyName
		}
		return id
	}
	return "the webhook of " + t.Record
}

// Deps are what publishers work with.
type Deps struct {
	Owner  string // who the names belong to; unique among those who share a zone
	Secret string // of Target.Record
	// AWS makes the configuration of AWS' clients. nil: awsconfig.Load, as the environment says.
	AWS func(ctx context.Context) (aws.Config, error)
	Now func() time.Time // nil: time.Now
}

// Open makes a target's publisher.
func Open(ctx context.Context, t Target, d Deps) (dns.Publisher, error) {
	switch {
	case t.Route53 != nil:
		if d.AWS == nil {
			d.AWS = fromEnvironment
		}
		config, err := d.AWS(ctx)
		if err != nil {
			return nil, err
		}
		return route53.New(config, route53.Options{HostedZoneID: t.Route53.HostedZoneID, Zone: t.Zone, Owner: d.Owner, Now: d.Now}), nil
	case t.RFC2136 != nil:
		r := t.RFC2136
		if r.KeyName != "" && d.Secret == "" {
			return nil, errors.New("the TSIG key's secret is not in the store: set tsig_secret_wo and raise tsig_secret_wo_version")
		}
		return rfc2136.New(rfc2136.Options{Server: r.Server, Zone: r.Zone, Owner: d.Owner,
			KeyName: r.KeyName, KeyAlgorithm: r.KeyAlgorithm, KeySecret: d.Secret, Now: d.Now}), nil
	case t.Webhook != nil:
		w := t.Webhook
		if w.SecretVersion != 0 && d.Secret == "" {
			return nil, errors.New("the webhook's secret is not in the store: set secret_wo and raise secret_wo_version")
		}
		return webhook.New(webhook.Options{URL: w.URL, Method: w.Method, Header: w.Headers, Body: w.Body, Expect: w.Expect, Secret: d.Secret}), nil
	}
	return nil, errors.New("nowhere to publish")
}

// fromEnvironment is AWS' own chain. Route 53 is global: where nothing says a region, the one that it is signed for does.
func fromEnvironment(ctx context.Context) (aws.Config, error) {
	region := cmp.Or(os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), "us-east-1")
	return awsconfig.Load(ctx, awsconfig.Config{Region: strings.TrimSpace(region)})
}
