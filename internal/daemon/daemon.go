// Package daemon starts, finds, upgrades and stops the sidecar on this machine.
//
// Proof of life is a lock held on a file in the state directory for the daemon's whole life, and an answer on its
// unix socket; a pid is neither.
package daemon
