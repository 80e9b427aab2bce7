package spec

// DNSRecord is a name in the farm's zone that follows a role.
type DNSRecord struct {
	Farm     string   `json:"farm"`
	Name     string   `json:"name"` // label(s) under the zone
	Role     string   `json:"role"` // the role's name
	PointsTo string   `json:"points_to"`
	Index    int      `json:"index,omitempty"` // with PointsTo "index"
	TTL      Duration `json:"ttl"`
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
