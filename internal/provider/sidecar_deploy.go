package provider

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/farmhand/terraform-provider-farmhand/internal/awsconfig"
	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/deploy"
	"github.com/farmhand/terraform-provider-farmhand/internal/deploy/executable"
	"github.com/farmhand/terraform-provider-farmhand/internal/deploy/fetch"
	"github.com/farmhand/terraform-provider-farmhand/internal/deploy/policy"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// deploySidecar makes a sidecar on EC2 as declared and waits until it says in the store that it runs. It fills in what the declaration
// says of executables, and declares it. renew replaces instances that are as they should be and do not serve.
func (b *backend) deploySidecar(ctx context.Context, s *spec.Sidecar, renew bool, patience time.Duration) error {
	file, err := sidecarExecutable(*s)
	if err != nil {
		return err
	}
	st, err := b.open(ctx)
	if err != nil {
		return err
	}
	blobs, err := b.openBlobs(ctx)
	if err != nil {
		return err
	}
	name, err := uploadFile(ctx, blobs, file)
	if err != nil {
		return fmt.Errorf("uploading the executable for %s: %w", file.Architecture, err)
	}
	s.AWS.Agent = map[string]string{file.Architecture: name}
	// Declared before it is made: what an interruption leaves is found by a destroy.
	former, _, err := store.GetJSON[spec.Sidecar](ctx, st, state.SidecarKey(s.ID))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	s.AWS.Stale = staleExecutables(former, *s)
	if _, err := store.PutJSON(ctx, st, state.SidecarKey(s.ID), *s); err != nil {
		return err
	}
	wanted, sidecars, err := b.sidecarDeployment(ctx, st, *s, file.SHA256, name)
	if err != nil {
		return err
	}
	if err := sidecars.Apply(ctx, wanted); err != nil {
		return err
	}
	if renew {
		if err := sidecars.Renew(ctx, s.ID); err != nil {
			return err
		}
	}
	err = sidecars.Wait(ctx, s.ID, patience, func(ctx context.Context) (bool, error) {
		n, err := b.sidecarsOf(ctx, s.ID, s.AWS.Version)
		return n >= s.AWS.Size, err
	})
	if err != nil {
		return err
	}
	if len(s.AWS.Stale) == 0 {
		return nil
	}
	if err := b.dropExecutables(ctx, st, s.AWS.Stale, ""); err != nil {
		return err
	}
	s.AWS.Stale = nil
	_, err = store.PutJSON(ctx, st, state.SidecarKey(s.ID), *s)
	return err
}

// staleExecutables are what only former instances of the sidecar run, also those of an upgrade that did not come to its end.
func staleExecutables(former, now spec.Sidecar) []string {
	if former.AWS == nil {
		return nil
	}
	stale := append(slices.Collect(maps.Values(former.AWS.Agent)), former.AWS.Stale...)
	return slices.DeleteFunc(stale, func(name string) bool {
		return slices.Contains(slices.Collect(maps.Values(now.AWS.Agent)), name)
	})
}

// sidecarDeployment is what is made of the declaration.
func (b *backend) sidecarDeployment(ctx context.Context, st store.Store, s spec.Sidecar, hash, blob string) (deploy.Sidecar, *deploy.Sidecars, error) {
	cfg, err := b.awsIn(ctx, s.AWS.Region)
	if err != nil {
		return deploy.Sidecar{}, nil, err
	}
	address, err := b.address(ctx)
	if err != nil {
		return deploy.Sidecar{}, nil, err
	}
	scope, err := b.sidecarScope(ctx, st, s)
	if err != nil {
		return deploy.Sidecar{}, nil, err
	}
	endpoint := address.S3Endpoint
	if endpoint == "" {
		endpoint = address.Endpoint
	}
	architecture := executable.OfInstanceType(s.AWS.InstanceType)
	c := b.cloud.config
	return deploy.Sidecar{
		ID: s.ID, Store: address.String(), Version: s.AWS.Version, Scope: scope,
		SubnetIDs: s.AWS.SubnetIDs, AMI: s.AWS.AMI, InstanceType: s.AWS.InstanceType, Size: s.AWS.Size, SecurityGroupIDs: s.AWS.SecurityGroupIDs,
		InstanceProfile: s.AWS.InstanceProfile, KeyName: s.AWS.KeyName, Tags: s.AWS.Tags, LogGroup: s.AWS.LogGroup, MetricsListen: s.MetricsListen,
		Fetch: fetch.Service{
			Region: address.Region, Bucket: address.Bucket, Endpoint: endpoint, FIPS: c.UseFIPSEndpoint, DualStack: c.UseDualStackEndpoint,
			Objects:     map[string]fetch.Object{architecture: {Key: "blobs/" + blob, SHA256: hash}},
			Environment: sidecarEnvironment(c, s.AWS.Region),
		},
	}, deploy.NewSidecars(cfg), nil
}

// sidecarEnvironment is how the sidecar reaches AWS: as the provider's block and environment say, with its own instance's credentials and
// without what is only on this machine.
func sidecarEnvironment(c awsconfig.Config, region string) map[string]string {
	env := map[string]string{daemon.AWSVariable: awsconfig.Config{
		Region: region, UseFIPSEndpoint: c.UseFIPSEndpoint, UseDualStackEndpoint: c.UseDualStackEndpoint,
		MaxRetries: c.MaxRetries, RetryMode: c.RetryMode, Endpoints: c.Endpoints,
	}.String()}
	for _, v := range os.Environ() {
		if name, value, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_ENDPOINT_URL") || name == "AWS_USE_FIPS_ENDPOINT" || name == "AWS_USE_DUALSTACK_ENDPOINT" {
			env[name] = value
		}
	}
	return env
}

// sidecarScope is what the sidecar's policy is cut down to: the store, and the places that its farms' databases are backed up to.
func (b *backend) sidecarScope(ctx context.Context, st store.Store, s spec.Sidecar, more ...spec.Role) (policy.Scope, error) {
	address, err := b.address(ctx)
	if err != nil {
		return policy.Scope{}, err
	}
	account, err := b.accountID(ctx)
	if err != nil {
		return policy.Scope{}, err
	}
	farms, err := store.ListJSON[state.FarmEntry](ctx, st, state.FarmIndexKey(""))
	if err != nil {
		return policy.Scope{}, err
	}
	roles := slices.Clone(more)
	for _, f := range farms {
		declared, err := store.ListJSON[state.Declared[spec.Role]](ctx, st, state.RolePrefix(f.Value.Name))
		if err != nil {
			return policy.Scope{}, err
		}
		for _, r := range declared {
			roles = append(roles, r.Value.Spec)
		}
	}
	scope := scopeOf(address, account, nil)
	scope.Backups, scope.LogGroup = placesOfBackups(roles), s.AWS.LogGroup
	if len(s.AWS.InstanceRoles) > 0 {
		scope.InstanceRoles = append([]string{policy.InstanceRole("*")}, s.AWS.InstanceRoles...)
	}
	return scope, nil
}

// allowSidecars lets the sidecars on EC2 reach where a role's database is backed up to.
func (b *backend) allowSidecars(ctx context.Context, st store.Store, role spec.Role) error {
	declared, err := store.ListJSON[spec.Sidecar](ctx, st, state.SidecarKey(""))
	if err != nil {
		return err
	}
	for _, d := range declared {
		s := d.Value
		if s.AWS == nil || s.AWS.InstanceProfile != "" {
			continue
		}
		scope, err := b.sidecarScope(ctx, st, s, role)
		if err != nil {
			return err
		}
		cfg, err := b.awsIn(ctx, s.AWS.Region)
		if err != nil {
			return err
		}
		if err := deploy.ApplyRole(ctx, iam.NewFromConfig(cfg), deploy.SidecarRole(s.ID, s.AWS.Tags, scope)); err != nil {
			return err
		}
	}
	return nil
}

// sidecarsOf counts the processes of a sidecar that say in the store that they run; version "" for any.
func (b *backend) sidecarsOf(ctx context.Context, id, version string) (n int, err error) {
	alive, err := b.sidecarsAlive(ctx)
	if err != nil && !isGone(err) {
		return 0, err
	}
	for _, a := range alive {
		if a.Sidecar == id && (version == "" || a.Version == version) {
			n++
		}
	}
	return n, nil
}

// undeploySidecar removes all that was made for a sidecar on EC2; what is not there is no error.
func (b *backend) undeploySidecar(ctx context.Context, id string, patience time.Duration) error {
	cfg, err := b.awsConfig(ctx)
	if err != nil {
		return err
	}
	if err := deploy.NewSidecars(cfg).Remove(ctx, id, patience); err != nil {
		return err
	}
	st, err := b.openExisting(ctx)
	if isGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	alive, err := store.ListJSON[state.Alive](ctx, st, state.AlivePrefix())
	if err != nil {
		return err
	}
	for _, a := range alive {
		if a.Value.Sidecar != id {
			continue
		}
		if err := st.Delete(ctx, a.Key); err != nil { // its instances have ended, with or without a word
			return err
		}
	}
	declared, _, err := store.GetJSON[spec.Sidecar](ctx, st, state.SidecarKey(id))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if declared.AWS != nil {
		names := append(slices.Collect(maps.Values(declared.AWS.Agent)), declared.AWS.Stale...)
		if err := b.dropExecutables(ctx, st, names, state.SidecarKey(id)); err != nil {
			return err
		}
	}
	return st.Delete(ctx, state.SidecarKey(id))
}
