// Package rfc2136 publishes names by dynamic updates (RFC 2136), signed with TSIG (RFC 8945), on any nameserver that
// takes them: BIND, Knot, PowerDNS, Windows DNS.
//
// What is to change is one UPDATE message, which a nameserver carries out whole or not at all. Its prerequisites say
// what the change rests on: a new name must be free, a name that is changed must still be owned. No zone transfer is
// needed: names published earlier are known from the caller, and asked for one by one.
//
// Start reading at Publisher.Publish.
package rfc2136
