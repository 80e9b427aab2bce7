// Package metric makes one measurement of a role out of what its instances report: windows over samples, with an
// age and a coverage.
//
// It is pure. A sample that cannot be true (not a number, negative, from the future) is no sample; a server without
// samples lowers the coverage and is never taken for an idle one. Start at OfRole.
package metric
