package spec

// AWS is where a farm's instances run on EC2. The account and the credentials are those of whoever calls; nothing of
// them is stored.
type AWS struct {
	Region           string   `json:"region"`
	SubnetIDs        []string `json:"subnet_ids"`                   // instances are spread over their zones
	SecurityGroupIDs []string `json:"security_group_ids,omitempty"` // empty: the VPC's default group
	AMI              string   `json:"ami"`                          // image of roles that name none
	InstanceTypes    []string `json:"instance_types"`               // of roles that name none, in order of preference
	// InstanceProfile is the name of the profile that instances log in to the store with. Empty: the farm has one made,
	// farmhand-FARM, that reaches this farm's partition only.
	InstanceProfile string `json:"instance_profile,omitempty"`
	KeyName         string `json:"key_name,omitempty"`
	// HostedZoneID is the Route 53 zone, private or public, that the farm's names are published in. Empty: every
	// instance's agent answers for the farm's zone itself.
	HostedZoneID string `json:"hosted_zone_id,omitempty"`
	// PublicIP gives instances a public address; nil leaves it to their subnet.
	PublicIP *bool             `json:"public_ip,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"` // on everything made for the farm, beside farmhand's own

	// Store is where agents find the farm, as stores.Open takes it ("dynamodb://farmhand?region=eu-west-1&bucket=b").
	// Set by the provider, not declared.
	Store string `json:"store,omitempty"`
	// Agent is the executable that instances run, by architecture ("arm64", "amd64"): names of blobs, "sha256-...", in
	// the store's bucket. Set by the provider.
	Agent map[string]string `json:"agent,omitempty"`
	// AgentVersion is the version of those executables. Set by the provider.
	AgentVersion string `json:"agent_version,omitempty"`
}

// RoleAWS is what a role wants of EC2.
type RoleAWS struct {
	InstanceTypes    []string `json:"instance_types,omitempty"` // in order of preference; empty: the farm's
	SubnetIDs        []string `json:"subnet_ids,omitempty"`
	SecurityGroupIDs []string `json:"security_group_ids,omitempty"`
	KeyName          string   `json:"key_name,omitempty"`
	PublicIP         *bool    `json:"public_ip,omitempty"`

	// Spot is how many of a hundred instances above OnDemandBase are asked for on the Spot market. Where that has no
	// capacity, on-demand ones are taken instead unless SpotOnly.
	Spot         int  `json:"spot,omitempty"`
	OnDemandBase int  `json:"on_demand_base,omitempty"`
	SpotOnly     bool `json:"spot_only,omitempty"`

	RootVolumeGB int `json:"root_volume_gb,omitempty"` // 0: the AMI's

	// TargetGroupARNs are ALB or NLB target groups that serving instances are registered in.
	TargetGroupARNs []string `json:"target_group_arns,omitempty"`
	// ElasticIP gives each index an address that stays with it.
	ElasticIP bool `json:"elastic_ip,omitempty"`
	// WarmPool is the number of stopped instances, set up and ready to be started, that are kept beside.
	WarmPool int `json:"warm_pool,omitempty"`
}
