package provider

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/farmhand/terraform-provider-farmhand/internal/deploy"
	"github.com/farmhand/terraform-provider-farmhand/internal/deploy/executable"
	"github.com/farmhand/terraform-provider-farmhand/internal/deploy/policy"
	awsplatform "github.com/farmhand/terraform-provider-farmhand/internal/platform/aws"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/stores"
)

// declared is the farm's declaration with what the provider's block adds to it.
func (b *backend) declared(ctx context.Context, m *farmModel, diags *diag.Diagnostics) spec.Farm {
	region := ""
	if !m.AWS.IsNull() {
		region = b.region(ctx)
	}
	f := m.spec(ctx, region, diags)
	if f.AWS != nil {
		f.AWS.AgentVersion = b.version
		f.AWS.Tags = withTags(b.cloud.config.DefaultTags, f.AWS.Tags)
	}
	return f
}

// withTags is both; own ones go over default ones. nil for none.
func withTags(defaults, own map[string]string) map[string]string {
	if len(defaults)+len(own) == 0 {
		return nil
	}
	all := map[string]string{}
	maps.Copy(all, defaults)
	maps.Copy(all, own)
	return all
}

// withoutDefaultTags is what a configuration says of stored tags: those that the provider's block gives are not said
// again, unless they were.
func (b *backend) withoutDefaultTags(stored, said map[string]string) map[string]string {
	own := map[string]string{}
	for k, v := range stored {
		_, twice := said[k]
		if given, ok := b.cloud.config.DefaultTags[k]; !ok || given != v || twice {
			own[k] = v
		}
	}
	return own
}

// storeProblems is what a farm on EC2 needs of the provider's block.
func (b *backend) storeProblems(f spec.Farm) []spec.Problem {
	if f.AWS == nil || b.remote() {
		return nil
	}
	return []spec.Problem{{Attribute: "aws", Summary: "instances on EC2 cannot reach a store that is a file",
		Advice: `Write store = { table = "farmhand" } in the provider's block: the table is made if it is not there`}}
}

// awsIn is the configuration for a region.
func (b *backend) awsIn(ctx context.Context, region string) (aws.Config, error) {
	cfg, err := b.awsConfig(ctx)
	if err == nil && region != "" && cfg.Region != region {
		cfg = cfg.Copy()
		cfg.Region = region
	}
	return cfg, err
}

// awsProblems asks AWS what would stop a farm, or a role of it, before anything is made.
func (b *backend) awsProblems(ctx context.Context, f spec.Farm, role *spec.Role) []spec.Problem {
	cfg, err := b.awsIn(ctx, f.AWS.Region)
	if errors.Is(err, errNotKnownYet) {
		return nil
	}
	if err != nil {
		return []spec.Problem{{Attribute: "aws", Summary: err.Error()}}
	}
	if role != nil {
		var problems []spec.Problem
		if role.AWS != nil {
			problems = b.executableProblems(role.AWS.InstanceTypes)
		}
		return append(problems, awsplatform.PreflightRole(ctx, cfg, f, *role)...)
	}
	problems := b.executableProblems(f.AWS.InstanceTypes)
	return append(problems, awsplatform.Preflight(ctx, cfg, f)...)
}

// executables are those that instances run, as far as there are.
func executables() (found map[string]executable.File, own string, err error) {
	if own, err = os.Executable(); err != nil {
		return nil, "", fmt.Errorf("finding the provider's own executable: %w", err)
	}
	found, err = executable.Agents(own)
	return found, own, err
}

// executableProblems tells whether there is an executable for each of the types.
func (b *backend) executableProblems(types []string) []spec.Problem {
	found, own, err := executables()
	if err != nil {
		return []spec.Problem{{Attribute: "aws", Summary: err.Error()}}
	}
	for _, t := range types {
		if err := executable.Missing(found, own, executable.OfInstanceType(t)); err != nil {
			return []spec.Problem{{Attribute: "aws", Summary: "instance type " + t + ": " + err.Error()}}
		}
	}
	return nil
}

// uploadExecutables puts what there is into the store's bucket, and returns names of blobs by architecture.
func (b *backend) uploadExecutables(ctx context.Context) (map[string]string, error) {
	found, _, err := executables()
	if err != nil {
		return nil, err
	}
	blobs, err := b.openBlobs(ctx)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for architecture, file := range found {
		if names[architecture], err = uploadFile(ctx, blobs, file); err != nil {
			return nil, fmt.Errorf("uploading the executable for %s: %w", architecture, err)
		}
	}
	return names, nil
}

func uploadFile(ctx context.Context, blobs store.Blobs, file executable.File) (string, error) {
	f, err := os.Open(file.Path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	name, _, err := blobs.PutBlob(ctx, f)
	if err == nil && name != file.SHA256 {
		err = fmt.Errorf("%s has changed meanwhile: apply again", file.Path)
	}
	return name, err
}

// deployFarm makes what a farm on EC2 needs before its first instance, and fills in what instances are told. On
// others it does nothing.
func (b *backend) deployFarm(ctx context.Context, f *spec.Farm) error {
	if f.AWS == nil {
		return nil
	}
	address, err := b.address(ctx)
	if err != nil {
		return err
	}
	f.AWS.Store = address.String()
	if f.AWS.Agent, err = b.uploadExecutables(ctx); err != nil {
		return err
	}
	if f.AWS.InstanceProfile != "" {
		return nil
	}
	return b.applyInstanceRole(ctx, address, *f, nil)
}

// applyInstanceRole makes the role that the farm's instances are given, or makes it as it should be; backups are the places that its
// databases are backed up to.
func (b *backend) applyInstanceRole(ctx context.Context, address stores.Address, f spec.Farm, backups []string) error {
	cfg, err := b.awsIn(ctx, f.AWS.Region)
	if err != nil {
		return err
	}
	account, err := b.accountID(ctx)
	if err != nil {
		return err
	}
	scope := scopeOf(address, account, []string{f.Name})
	scope.Backups = backups
	return deploy.ApplyRole(ctx, iam.NewFromConfig(cfg), deploy.Role{
		Name: policy.InstanceRole(f.Name), Owner: farmTag(f.Name), Tags: f.AWS.Tags, Region: f.AWS.Region,
		Policy: policy.Instance(scope),
	})
}

// allowBackups lets the farm's instances reach the places in S3 that its roles are backed up to, before a server is told to.
func (b *backend) allowBackups(ctx context.Context, s store.Store, f spec.Farm, role spec.Role) error {
	if f.AWS == nil || role.Backup == nil {
		return nil
	}
	if err := b.allowSidecars(ctx, s, role); err != nil {
		return err
	}
	if f.AWS.InstanceProfile != "" {
		return nil
	}
	others, err := b.declaredRoles(ctx, s, f.Name)
	if err != nil {
		return err
	}
	others = slices.DeleteFunc(others, func(r spec.Role) bool { return r.Name == role.Name })
	address, err := b.address(ctx)
	if err != nil {
		return err
	}
	return b.applyInstanceRole(ctx, address, f, placesOfBackups(append(others, role)))
}

// placesOfBackups are the places in S3 that roles are backed up to, each once, in order.
func placesOfBackups(roles []spec.Role) (places []string) {
	for _, r := range roles {
		if r.Backup == nil {
			continue
		}
		if place, err := spec.ParseBackupTarget(r.Backup.To); err == nil && place.Bucket != "" {
			places = append(places, strings.Trim(place.Bucket+"/"+place.Path, "/"))
		}
	}
	slices.Sort(places)
	return slices.Compact(places)
}

// undeployFarm removes what deployFarm made. What is not there is no error.
func (b *backend) undeployFarm(ctx context.Context, s store.Store, f spec.Farm) error {
	if f.AWS == nil {
		return nil
	}
	cfg, err := b.awsIn(ctx, f.AWS.Region)
	if err != nil {
		return err
	}
	if f.AWS.InstanceProfile == "" {
		if err := deploy.RemoveRole(ctx, iam.NewFromConfig(cfg), policy.InstanceRole(f.Name), farmTag(f.Name)); err != nil {
			return err
		}
	}
	return b.dropExecutables(ctx, s, slices.Collect(maps.Values(f.AWS.Agent)), state.FarmKey(f.Name))
}

// dropExecutables deletes those that neither another farm nor a sidecar needs; but is the key of whom they were for.
func (b *backend) dropExecutables(ctx context.Context, s store.Store, names []string, but string) error {
	needed := map[string]bool{}
	note := func(byArchitecture map[string]string) {
		for _, name := range byArchitecture {
			needed[name] = true
		}
	}
	farms, err := store.ListJSON[state.FarmEntry](ctx, s, state.FarmIndexKey(""))
	if err != nil {
		return err
	}
	for _, entry := range farms {
		key := state.FarmKey(entry.Value.Name)
		f, _, err := store.GetJSON[state.Declared[spec.Farm]](ctx, s, key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if f.Spec.AWS != nil && key != but {
			note(f.Spec.AWS.Agent)
		}
	}
	sidecars, err := store.ListJSON[spec.Sidecar](ctx, s, state.SidecarKey(""))
	if err != nil {
		return err
	}
	for _, sc := range sidecars {
		if sc.Value.AWS != nil && sc.Key != but {
			note(sc.Value.AWS.Agent)
		}
	}
	blobs, err := b.openBlobs(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if needed[name] {
			continue
		}
		if err := blobs.DeleteBlob(ctx, name); err != nil {
			return fmt.Errorf("removing an executable: %w", err)
		}
	}
	return nil
}

func farmTag(farm string) deploy.Tag { return deploy.Tag{Key: policy.FarmTag, Value: farm} }

func scopeOf(a stores.Address, account string, farms []string) policy.Scope {
	return policy.Scope{Region: a.Region, Account: account, Table: a.Table, Bucket: a.Bucket, Farms: farms}
}
