package controller

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// Generation names what an instance of the role is made from: a hash of image, behavior, settings, boot script,
// environment, version of the secrets, application release and volume path. Two roles with the same generation make
// like instances; a change of it means replacing them. Envelope, policies, health check and who is used are not in
// it: those are changed on running instances. app is the role's application, nil for none.
func Generation(farm spec.Farm, role spec.Role, app *spec.Application, traits behavior.Traits) string {
	made := struct {
		Image          string            `json:"image"`
		Behavior       string            `json:"behavior"`
		Settings       map[string]string `json:"settings,omitempty"`
		BootScript     string            `json:"boot_script"`
		Environment    map[string]string `json:"environment,omitempty"`
		Secrets        []string          `json:"secrets,omitempty"`
		SecretsVersion int64             `json:"secrets_version"`
		Release        string            `json:"release"`
		DocumentRoot   string            `json:"document_root"`
		VolumePath     string            `json:"volume_path"`
		AWS            *madeOnEC2        `json:"aws,omitempty"`
	}{
		Image: imageOf(farm, role), Behavior: role.Behavior, Settings: settingsMadeFrom(role, traits), BootScript: role.BootScript,
		Environment: role.Environment, Secrets: role.Secrets, SecretsVersion: role.SecretsVersion,
		VolumePath: volumePath(role, traits), AWS: madeOn(farm, role),
	}
	if app != nil {
		made.Release, made.DocumentRoot = app.Release, app.DocumentRoot
	}
	b, err := json.Marshal(made) // maps are written in the order of their keys
	if err != nil {
		panic(err) // strings and numbers only
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}

// madeOnEC2 is what of EC2 an instance is made from. Subnets, markets, target groups and tags only decide where the next one goes.
type madeOnEC2 struct {
	InstanceTypes    []string `json:"instance_types"`
	SecurityGroupIDs []string `json:"security_group_ids"`
	InstanceProfile  string   `json:"instance_profile"`
	KeyName          string   `json:"key_name"`
	PublicIP         *bool    `json:"public_ip"`
	RootVolumeGB     int      `json:"root_volume_gb"`
}

func madeOn(farm spec.Farm, role spec.Role) *madeOnEC2 {
	if farm.AWS == nil {
		return nil
	}
	m := madeOnEC2{InstanceTypes: farm.AWS.InstanceTypes, SecurityGroupIDs: farm.AWS.SecurityGroupIDs,
		InstanceProfile: farm.AWS.InstanceProfile, KeyName: farm.AWS.KeyName, PublicIP: farm.AWS.PublicIP}
	r := role.AWS
	if r == nil {
		return &m
	}
	if len(r.InstanceTypes) > 0 {
		m.InstanceTypes = r.InstanceTypes
	}
	if len(r.SecurityGroupIDs) > 0 {
		m.SecurityGroupIDs = r.SecurityGroupIDs
	}
	if r.KeyName != "" {
		m.KeyName = r.KeyName
	}
	if r.PublicIP != nil {
		m.PublicIP = r.PublicIP
	}
	m.RootVolumeGB = r.RootVolumeGB
	return &m
}

// settingsMadeFrom are the role's settings without those that running servers take over.
func settingsMadeFrom(role spec.Role, traits behavior.Traits) map[string]string {
	if traits.InPlace == nil {
		return role.Settings
	}
	made := maps.Clone(role.Settings)
	maps.DeleteFunc(made, func(name, _ string) bool { return traits.InPlace(name) })
	return made
}

// imageOf is the image that the role's instances are made from.
func imageOf(farm spec.Farm, role spec.Role) string {
	switch {
	case role.Image == "" && farm.Docker != nil:
		return farm.Docker.Image
	case role.Image == "" && farm.AWS != nil:
		return farm.AWS.AMI
	}
	return role.Image
}

// volumePath is where an index's volume is mounted; "" for a role without volumes.
func volumePath(role spec.Role, traits behavior.Traits) string {
	switch {
	case role.Volume != nil && role.Volume.Path != "":
		return role.Volume.Path
	case role.Volume != nil || traits.Stateful:
		return traits.VolumePath
	}
	return ""
}
