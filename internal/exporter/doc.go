// Package exporter tells Prometheus how farms stand: backups, databases, servers, sidecars.
//
// It reads the store, as `farmhand status` does, and decides nothing: each value is one that the store holds, or is the schedule
// of a backup. It keeps nothing but its last answer, for a few seconds, so that several sidecars and the command say the same.
// What is not declared or not known is absent and never 0.
//
// Metrics stand beside what fills them in: sidecars.go, fleet.go, database.go, backups.go. docs/guides/monitoring.md lists them.
// Start reading at Collector.
package exporter
