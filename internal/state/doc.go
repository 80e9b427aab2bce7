// Package state holds what is recorded of a running farm: instances, agents' reports, the topology, events,
// and the keys under which the store keeps them. Plain data; it imports spec only, decides nothing and does no I/O.
package state
