// Package e2e holds the end-to-end tests: examples/lamp applied on a container engine by the real CLI, its pages, its
// names, its growing, healing and shrinking, and a destroy that leaves nothing.
//
// They run with FARMHAND_E2E=1, as `make test` does, because they take minutes and start real daemons.
package e2e
