// Package simulated is a platform of virtual machines: boot times, a load model and faults, and no process.
//
// Its machines stand in the store, so that a restarted sidecar finds them as it would find containers, and it writes
// the reports that their agents would write. With it the whole way from `terraform apply` to scaling, healing and
// DNS runs on a laptop without a container engine, and in tests on virtual time.
// Start reading at simulated.go; step.go is what happens in a second of a machine's life, faults.go what can go wrong.
package simulated
