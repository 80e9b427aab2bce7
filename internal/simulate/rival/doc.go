// Package rival is how others choose a number of servers: one short file per algorithm, written from its published
// rule and named with its source. They are for comparison only; no farm is run by them.
//
// All of them get what they would get from the best of monitoring: measurements without delay, and the boot time as
// their warm-up. Where a rule leaves numbers to its user, they are those of the vendor's own example.
package rival
