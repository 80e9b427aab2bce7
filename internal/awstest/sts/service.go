// Package sts answers for the Security Token Service: who one is, and becoming another.
package sts

import (
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

type (
	nothing  struct{}
	identity struct{ Account, Arn, UserId string }
	assume   struct {
		RoleArn                                 string `q:",required"`
		RoleSessionName                         string `q:",required"`
		DurationSeconds                         int
		ExternalId, Policy                      string
		SourceIdentity, SerialNumber, TokenCode string
		PolicyArns                              []struct {
			Arn string `q:"arn"`
		}
		Tags              []struct{ Key, Value string }
		TransitiveTagKeys []string
	}
	assumed struct {
		Credentials struct {
			AccessKeyId, SecretAccessKey, SessionToken string
			Expiration                                 time.Time
		}
		AssumedRoleUser struct{ Arn, AssumedRoleId string }
	}
)

// New returns the service. Role finds a role's id by its ARN.
func New(w *wire.World, role func(arn string) (id string, ok bool)) *wire.Query {
	q := &wire.Query{World: w, Version: "2011-06-15", Namespace: "https://sts.amazonaws.com/doc/2011-06-15/", Style: wire.Member}
	wire.On(q, "GetCallerIdentity", func(c *wire.Context, _ *nothing) (*identity, error) {
		id := "AIDAFARMHANDTEST0000"
		if session, ok := w.Session(c.Caller.AccessKey); ok {
			id = "AROA" + session.AccessKey[4:] + ":" + session.ARN[strings.LastIndex(session.ARN, "/")+1:]
		}
		return &identity{w.Account, c.Caller.ARN, id}, nil
	})
	wire.On(q, "AssumeRole", func(c *wire.Context, in *assume) (*assumed, error) {
		id, ok := role(in.RoleArn)
		if !ok {
			return nil, wire.Errorf("AccessDenied", "User: %s is not authorized to perform: sts:AssumeRole on resource: %s", c.Caller.ARN, in.RoleArn).With(403)
		}
		ttl := time.Hour
		if in.DurationSeconds != 0 {
			ttl = time.Duration(in.DurationSeconds) * time.Second
		}
		if ttl < 15*time.Minute || ttl > 12*time.Hour {
			return nil, wire.Errorf("ValidationError", "The requested DurationSeconds is out of the bounds of 900 to 43200")
		}
		name := in.RoleArn[strings.LastIndex(in.RoleArn, "/")+1:]
		session := w.Issue("arn:aws:sts::"+w.Account+":assumed-role/"+name+"/"+in.RoleSessionName, ttl)
		out := &assumed{}
		out.Credentials.AccessKeyId, out.Credentials.SecretAccessKey, out.Credentials.SessionToken, out.Credentials.Expiration = session.AccessKey, session.Secret, session.Token, session.Expires
		out.AssumedRoleUser.Arn, out.AssumedRoleUser.AssumedRoleId = session.ARN, id+":"+in.RoleSessionName
		return out, nil
	})
	return q
}
