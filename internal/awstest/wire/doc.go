// Package wire is what AWS' APIs have in common below their actions: signatures as far as a stand-in checks them, query
// parameters in and XML out, error documents, filters with wildcards and pages with opaque tokens.
//
// It knows no service. An action is a function from a struct of parameters to a struct of results; parameters that the
// struct does not declare are refused, as AWS refuses what it does not know.
package wire
