// Package sqlite is the store of one machine: a single SQLite file that provider, sidecar and command line have
// open at the same time, each in its own process.
//
// It is SQLite in WAL mode through a pure-Go driver: readers never wait for writers, and a process that is killed
// in the middle of a write leaves the file as it was before. Start reading at Open (store.go); file.go is about what
// is refused, watch.go about hearing of what other processes write.
package sqlite
