package state

import "fmt"

// Keys of the store. The part before the first slash is the partition: a farm's name, or "_" for what farms share.
// One partition is what one agent, one lease and one DynamoDB query are about.
const (
	// Shared is the partition of what belongs to no farm.
	Shared = "_"
)

// FarmIndexKey lists a farm: its presence takes the name. Value: FarmEntry.
func FarmIndexKey(farm string) string { return Shared + "/farm/" + farm }

// ApplicationKey holds a spec.Application.
func ApplicationKey(name string) string { return Shared + "/application/" + name }

// SidecarKey holds a spec of one sidecar.
func SidecarKey(id string) string { return Shared + "/sidecar/" + id }

// FarmKey holds Declared[spec.Farm].
func FarmKey(farm string) string { return farm + "/spec/farm" }

// RolePrefix and RoleKey hold Declared[spec.Role].
func RolePrefix(farm string) string    { return farm + "/spec/role/" }
func RoleKey(farm, role string) string { return RolePrefix(farm) + role }

// PolicyPrefix and PolicyKey hold spec.Policy.
func PolicyPrefix(farm string) string            { return farm + "/spec/policy/" }
func PolicyKey(farm, role, policy string) string { return PolicyPrefix(farm) + role + "/" + policy }

// DNSPrefix and DNSKey hold spec.DNSRecord.
func DNSPrefix(farm string) string      { return farm + "/spec/dns/" }
func DNSKey(farm, record string) string { return DNSPrefix(farm) + record }

// InstancePrefix and InstanceKey hold Instance, by name ("web-2"): one holder of an index at a time.
func InstancePrefix(farm string) string        { return farm + "/instance/" }
func InstanceKey(farm, instance string) string { return InstancePrefix(farm) + instance }

// AddressPrefix and AddressKey hold Address: it belongs to the index and outlives its instances.
func AddressPrefix(farm string) string        { return farm + "/address/" }
func AddressKey(farm, instance string) string { return AddressPrefix(farm) + instance }

// ReportPrefix and ReportKey hold Report; written by that instance's agent only.
func ReportPrefix(farm string) string        { return farm + "/report/" }
func ReportKey(farm, instance string) string { return ReportPrefix(farm) + instance }

// AssignmentKey holds Assignment: what one instance is to be. Written by the sidecar, read by that agent.
func AssignmentKey(farm, instance string) string { return farm + "/assignment/" + instance }

// TopologyKey holds Topology. Written by the sidecar, read by every agent of the farm.
func TopologyKey(farm string) string { return farm + "/topology" }

// RuntimeKey holds Runtime: where the farm's gateway and nameserver listen.
func RuntimeKey(farm string) string { return farm + "/runtime" }

// MemoryPrefix and MemoryKey hold Memory, what the engine remembers of a role between ticks.
func MemoryPrefix(farm string) string    { return farm + "/memory/" }
func MemoryKey(farm, role string) string { return MemoryPrefix(farm) + role }

// SecretPrefix and SecretKey hold map[string]string: credentials of a role (its database's password, its secret environment).
func SecretPrefix(farm string) string    { return farm + "/secret/" }
func SecretKey(farm, role string) string { return SecretPrefix(farm) + role }

// TokenKey holds the SHA-256 (hex) of the instance's gateway token.
func TokenKey(farm, instance string) string { return farm + "/token/" + instance }

// LeaseKey and FenceKey are the farm's lease and its fencing number (see store.Lease).
func LeaseKey(farm string) string { return farm + "/lease" }
func FenceKey(farm string) string { return farm + "/fence" }

// MachinePrefix and MachineKey hold Machine: which instance a machine of the platform is, where it cannot be told by its maker
// at birth. Written by the sidecar, read by that machine's agent.
func MachinePrefix(farm string) string  { return farm + "/machine/" }
func MachineKey(farm, id string) string { return MachinePrefix(farm) + id }

// DatabasePrefix and DatabaseKey hold Database: what was decided of a role's database. Written by the sidecar, read by the
// agents of the role.
func DatabasePrefix(farm string) string    { return farm + "/database/" }
func DatabaseKey(farm, role string) string { return DatabasePrefix(farm) + role }

// BackupsPrefix and BackupsKey hold Backups: how a role's backups stand. Written by the sidecar.
func BackupsPrefix(farm string) string    { return farm + "/backups/" }
func BackupsKey(farm, role string) string { return BackupsPrefix(farm) + role }

// BackupWishPrefix and BackupWishKey hold BackupTask: a backup, drill or restore that a person asks for. Taken up and deleted by
// the sidecar.
func BackupWishPrefix(farm string) string    { return farm + "/backup-wish/" }
func BackupWishKey(farm, role string) string { return BackupWishPrefix(farm) + role }

// BackupKey is where a role's secret holds the key that its backups are encrypted with.
const BackupKey = "backup_key"

// RestoreKey is where it holds the key of the backups that a restore is from, where that is another one, until the restore has ended.
const RestoreKey = "restore_key"

// EventPrefix and EventKey hold Event, in order of time.
func EventPrefix(farm string) string  { return farm + "/event/" }
func EventKey(farm, id string) string { return EventPrefix(farm) + id }

// LedgerPrefix and LedgerKey hold the engine's records of decisions, by role, in order of time.
func LedgerPrefix(farm string) string        { return farm + "/ledger/" }
func LedgerKey(farm, role, id string) string { return LedgerPrefix(farm) + role + "/" + id }

// HistoryPrefix and HistoryKey hold History, what a forecast policy has learnt of its role.
func HistoryPrefix(farm string) string            { return farm + "/history/" }
func HistoryKey(farm, role, policy string) string { return HistoryPrefix(farm) + role + "/" + policy }

// ManualPrefix and ManualKey hold Manual: the number of servers that somebody set by hand for a while.
func ManualPrefix(farm string) string    { return farm + "/manual/" }
func ManualKey(farm, role string) string { return ManualPrefix(farm) + role }

// DemandPrefix and DemandKey hold Demand: the load put on a role of a simulated farm.
func DemandPrefix(farm string) string    { return farm + "/simulated/demand/" }
func DemandKey(farm, role string) string { return DemandPrefix(farm) + role }

// InstanceName is "web-2".
func InstanceName(role string, index int) string { return fmt.Sprintf("%s-%d", role, index) }
