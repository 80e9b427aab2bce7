// Package provider is the Terraform half of Farmhand: it validates HCL, writes what is declared to the store, deploys
// the sidecar, and reads live state back. It decides nothing at run time.
//
// Each resource and data source is a file named after it, with its test beside it. Three things are shared by all:
// backend.go reaches the store, text_type.go holds values that can be written in several ways, and problem.go turns
// what internal/spec finds at fault into diagnostics with an attribute path.
package provider
