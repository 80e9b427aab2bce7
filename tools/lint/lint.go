// Package lint is the module of golangci-lint alone: what it stands on is more than all the rest together, and the
// tests' tools are not to wait for it. Run it from the project's root:
//
//	go tool -modfile=tools/lint/go.mod golangci-lint run
package lint
