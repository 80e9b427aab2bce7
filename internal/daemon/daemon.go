// Package daemon starts, finds, upgrades and stops the sidecar on this machine.
//
// Proof of life is a lock held on a file in the state directory for the daemon's whole life, and an answer on its
// unix socket; a pid is neither. Start, Find and Stop are for the provider and the command line; Serve is what
// `farmhand run` stands on. Start reading at Start.
package daemon

import (
	"errors"
	"time"
)

// ErrNotRunning: no daemon holds the lock of the state directory.
var ErrNotRunning = errors.New("the sidecar is not running")

// ErrNotAnswering: a daemon holds the lock but does not answer on its socket.
var ErrNotAnswering = errors.New("the sidecar does not answer")

// StoreVariable names the environment variable with a store's address, and AWSVariable the one with how AWS is reached
// (awsconfig.Config as JSON, without secrets) for a sidecar that the provider starts.
const (
	StoreVariable = "FARMHAND_STORE"
	AWSVariable   = "FARMHAND_AWS_CONFIG"
)

// Status is what a daemon says of itself.
type Status struct {
	ID         string    `json:"id"` // stays over restarts: it belongs to the state directory
	Version    string    `json:"version"`
	PID        int       `json:"pid"`
	Started    time.Time `json:"started"`
	Farms      []string  `json:"farms"`      // that it keeps now, by name
	Executable string    `json:"executable"` // the copy that it runs from
	StateDir   string    `json:"state_dir"`
	Store      string    `json:"store,omitempty"`          // address of a store that is elsewhere
	AWS        string    `json:"aws,omitempty"`            // what it was told of AWS, as in AWSVariable
	Metrics    string    `json:"metrics_listen,omitempty"` // address that it serves metrics at
}
