package spec

// DNSRecord is a name that follows a role: in the farm's zone, or where one of Route53, RFC2136 and Webhook says.
type DNSRecord struct {
	Farm     string   `json:"farm"`
	Name     string   `json:"name"` // label(s) under the zone
	Role     string   `json:"role"` // the role's name
	PointsTo string   `json:"points_to"`
	Index    int      `json:"index,omitempty"` // with PointsTo "index"
	TTL      Duration `json:"ttl"`

	// At most one is set; Name is then a full name.
	Route53 *Route53 `json:"route53,omitempty"`
	RFC2136 *RFC2136 `json:"rfc2136,omitempty"`
	Webhook *Webhook `json:"webhook,omitempty"`
}

// Route53 is a hosted zone, private or public.
type Route53 struct {
	HostedZoneID string `json:"hosted_zone_id"`
}

// RFC2136 is a zone on a nameserver that takes dynamic updates. The key's secret stands under state.DNSSecretKey.
type RFC2136 struct {
	Server        string `json:"server"` // host or host:port
	Zone          string `json:"zone"`
	KeyName       string `json:"tsig_name,omitempty"` // "": updates are not signed
	KeyAlgorithm  string `json:"tsig_algorithm"`
	SecretVersion int64  `json:"tsig_secret_wo_version,omitempty"` // counts up with the secret
}

// Webhook is a provider that is told a new address by HTTP. URL, headers and body hold WebhookPlaceholders.
type Webhook struct {
	URL           string            `json:"url"`
	Method        string            `json:"method"`
	Headers       map[string]string `json:"headers,omitempty"`
	Body          string            `json:"body,omitempty"`
	Expect        string            `json:"expect,omitempty"` // what a good answer holds
	SecretVersion int64             `json:"secret_wo_version,omitempty"`
}

// Elsewhere tells whether the record is published outside of the farm's zone.
func (d DNSRecord) Elsewhere() bool { return d.Route53 != nil || d.RFC2136 != nil || d.Webhook != nil }

// SecretVersion counts up with the record's secret; 0 for none.
func (d DNSRecord) SecretVersion() int64 {
	switch {
	case d.RFC2136 != nil:
		return d.RFC2136.SecretVersion
	case d.Webhook != nil:
		return d.Webhook.SecretVersion
	}
	return 0
}

// What a DNSRecord can point to.
const (
	PointsToAll      = "all"
	PointsToPrimary  = "primary"
	PointsToReplicas = "replicas"
	PointsToIndex    = "index"
)

// ID is the record's id, "farm/name".
func (d DNSRecord) ID() string { return d.Farm + "/" + d.Name }
