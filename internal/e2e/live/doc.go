// Package live applies examples/lamp for real and watches what comes of it: the end-to-end tests and the benchmarks
// stand on it.
//
// A Farm is one farm with a Terraform state of its own; several may share a state directory, as they do for a user.
// What it knows it reads where a user could: Terraform's output, the farm's pages, the container engine, and the
// store. Start reading at Farm.
package live
