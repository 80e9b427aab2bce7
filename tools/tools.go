// Package tools is the module of what is run and not imported: no version of theirs enters the provider's own module.
//
// The registry's pages (docs/index.md, docs/guides, docs/resources, docs/data-sources) are written by `make generate`,
// that is `go generate` here.
package tools

//go:generate ./docs.sh
