package deploy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/cenkalti/backoff/v5"

	"github.com/farmhand/terraform-provider-farmhand/internal/deploy/policy"
)

// Role is an IAM role with an instance profile of the same name.
type Role struct {
	Name   string
	Owner  Tag // whose it is: a role of that name without this tag is somebody else's
	Tags   map[string]string
	Policy policy.Document
	Region string // decides who may be given it
}

// Tag is one tag.
type Tag struct{ Key, Value string }

const (
	// policyName is that of the one inline policy of a role.
	policyName = "farmhand"
	// seenWithin is how long IAM may take to show what was made; usually seconds.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
	seenWithin = 2 * time.Minute
)

// ApplyRole makes the role and its profile, or makes them as they should be, and waits until IAM shows them.
func ApplyRole(ctx context.Context, client *iam.Client, r Role) error {
	if err := applyRole(ctx, client, r); err != nil {
		return fmt.Errorf("IAM role %s: %w", r.Name, err)
	}
	return nil
}

func applyRole(ctx context.Context, client *iam.Client, r Role) error {
	var tags []iamtypes.Tag
	for _, t := range sortedTags(r.Tags, r.Owner) {
		tags = append(tags, iamtypes.Tag{Key: aws.String(t.Key), Value: aws.String(t.Value)})
	}
	_, err := client.CreateRole(ctx, &iam.CreateRoleInput{
		RoleName: &r.Name, AssumeRolePolicyDocument: aws.String(policy.TrustJSON(r.Region)), Tags: tags,
		Description: aws.String("Made by Farmhand"),
	})
	if is(err, "EntityAlreadyExists") {
		err = checkOwner(ctx, client, r.Name, r.Owner)
	}
	if err != nil {
		return doing("making it", "iam:CreateRole", err)
	}
	_, err = client.PutRolePolicy(ctx, &iam.PutRolePolicyInput{
		RoleName: &r.Name, PolicyName: aws.String(policyName), PolicyDocument: aws.String(r.Policy.Compact()),
	})
	if err != nil {
		return doing("writing its policy", "iam:PutRolePolicy", err)
	}
	_, err = client.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: &r.Name, Tags: tags})
	if err != nil && !is(err, "EntityAlreadyExists") {
		return doing("making its instance profile", "iam:CreateInstanceProfile", err)
	}
	return waitUntil(ctx, seenWithin, "IAM shows its instance profile", func() (bool, error) {
		out, err := client.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: &r.Name})
		if is(err, "NoSuchEntity") {
			return false, nil
		}
		if err != nil {
			return false, doing("looking at its instance profile", "iam:GetInstanceProfile", err)
		}
		for _, held := range out.InstanceProfile.Roles {
			if aws.ToString(held.RoleName) == r.Name {
				return true, nil
			}
		}
		_, err = client.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{InstanceProfileName: &r.Name, RoleName: &r.Name})
		if is(err, "LimitExceeded", "NoSuchEntity") { // it holds one already, or is not seen everywhere yet
			return false, nil
		}
		return false, doing("putting it into its instance profile", "iam:AddRoleToInstanceProfile", err)
	})
}

// errForeign: something of farmhand's name is not farmhand's.
var errForeign = errors.New("it exists and is not farmhand's")

// checkOwner returns errForeign if the role has not the owner's tag, ErrGone if there is none.
func checkOwner(ctx context.Context, client *iam.Client, name string, owner Tag) error {
	out, err := client.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
	if is(err, "NoSuchEntity") {
		return ErrGone
	}
	if err != nil {
		return doing("looking at it", "iam:GetRole", err)
	}
	for _, t := range out.Role.Tags {
		if aws.ToString(t.Key) == owner.Key && aws.ToString(t.Value) == owner.Value {
			return nil
		}
	}
	return fmt.Errorf("%w: it lacks the tag %s = %s. Remove or rename it, or name a profile of your own by instance_profile", errForeign, owner.Key, owner.Value)
}

// RemoveRole removes the role and its profile; what is not there, or not the owner's, is left alone.
func RemoveRole(ctx context.Context, client *iam.Client, name string, owner Tag) error {
	err := checkOwner(ctx, client, name, owner)
	if errors.Is(err, errForeign) {
		return nil
	}
	roleGone := errors.Is(err, ErrGone)
	if err != nil && !roleGone {
		return fmt.Errorf("removing IAM role %s: %w", name, err)
	}
	steps := []struct {
		action string
		do     func() error
		role   bool // of the role, which may be gone where its profile is not
	}{
		{"iam:RemoveRoleFromInstanceProfile", func() error {
			_, err := client.RemoveRoleFromInstanceProfile(ctx, &iam.RemoveRoleFromInstanceProfileInput{InstanceProfileName: &name, RoleName: &name})
			return err
		}, true},
		{"iam:DeleteInstanceProfile", func() error {
			_, err := client.DeleteInstanceProfile(ctx, &iam.DeleteInstanceProfileInput{InstanceProfileName: &name})
			return err
		}, false},
		{"iam:DeleteRolePolicy", func() error {
			_, err := client.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &name, PolicyName: aws.String(policyName)})
			return err
		}, true},
		{"iam:DeleteRole", func() error {
			_, err := client.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: &name})
			return err
		}, true},
	}
	for _, s := range steps {
		if roleGone && s.role {
			continue
		}
		if err := s.do(); err != nil && !is(err, "NoSuchEntity") {
			return doing("removing IAM role "+name, s.action, err)
		}
	}
	return nil
}

// waitUntil asks again, ever more slowly, until it holds, fails, or patience is at its end.
func waitUntil(ctx context.Context, patience time.Duration, what string, holds func() (bool, error)) error {
	slower := backoff.NewExponentialBackOff()
	slower.InitialInterval, slower.MaxInterval = 200*time.Millisecond, 5*time.Second
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		ok, err := holds()
		if err != nil {
			return struct{}{}, backoff.Permanent(err)
		}
		if !ok {
			return struct{}{}, errNotYet
		}
		return struct{}{}, nil
	}, backoff.WithBackOff(slower), backoff.WithMaxElapsedTime(patience))
	if errors.Is(err, errNotYet) {
		return fmt.Errorf("it did not come to pass within %s that %s", patience, what)
	}
	return err
}

var errNotYet = errors.New("not yet")
