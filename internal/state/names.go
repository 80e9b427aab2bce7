package state

import "github.com/farmhand/terraform-provider-farmhand/internal/spec"

// Values of Assignment.Names: who answers for the farm's zone.
const (
	NamesNameserver = "nameserver" // Assignment.Nameserver does; also what "" means
	NamesSelf       = "self"       // every agent does for its own instance, from the topology
	NamesPlatform   = "platform"   // the resolvers that the instance has: the zone is published where they look
)

// NamesOf is who answers for the zone of a farm.
func NamesOf(farm spec.Farm) string {
	switch {
	case farm.AWS == nil:
		return NamesNameserver
	case farm.AWS.HostedZoneID != "":
		return NamesPlatform
	}
	return NamesSelf
}

// DNSSecretPrefix and DNSSecretKey hold DNSSecret, which no instance may read: on DynamoDB it stands under a hash of its own.
func DNSSecretPrefix(farm string) string      { return farm + "/dnssecret/" }
func DNSSecretKey(farm, record string) string { return DNSSecretPrefix(farm) + record }

// DNSSecret is what the sidecar proves itself with where it publishes a record: a TSIG key's secret, a webhook's.
type DNSSecret struct {
	Secret string `json:"secret"`
}
