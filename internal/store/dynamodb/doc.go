// Package dynamodb is the store of farms on AWS: one table that provider, sidecars, agents and command line open, each with
// its own credentials. It passes storetest.
//
// # Layout
//
// An item is a key: hash key pk is the partition (a farm's name, or "_"), sort key sk the rest. What agents write,
// FARM/report/..., has pk "FARM@agents", so that the condition dynamodb:LeadingKeys of a policy can let an instance read
// its farm and write its report and nothing else; what instances may not read though it is their farm's, secrets of
// nameservers, has "FARM@sidecar". Callers see none of that: a list over a whole partition merges both. The
// item pk "@farmhand", sk "schema" says that the table is a store's, and of which version; it is written last when a table
// is made, so that a creation that broke off is finished by the next Open.
//
// # Revisions
//
// A write without a guard is one UpdateItem, whose revision is the former one plus one, or the clock's microseconds where
// there is no item. A delete leaves the item hidden, one revision on; DynamoDB removes it (attribute ttl) two days later.
// So a key's revision grows also over a delete, provided no clock is off by a day. An entry that expires is hidden when it
// does, by the reader's clock, and removed two days later for the same reason.
//
// # Guards
//
// A guarded write is one TransactWriteItems: the check of the fencing key, and the write. Its revision is chosen by the
// writer, greater than the item's, which the transaction checks. Transactions on one fence collide, so that a process lets
// its own take turns, and repeats those that met another's. An endpoint that has no transactions (an emulator; AWS' own
// always has them) is noticed: there the guard is checked before the write, which protects against what is late and not
// against what comes in the same millisecond, and a warning says so.
//
// # Watching
//
// Nobody listens, so watching is looking: one goroutine for all watches of a Store, all whole keys in one BatchGetItem, each
// prefix in one Query, reading revisions only, and only as often as the kind of key asks for (see pace). A process' own
// writes hint at once.
//
// # What it costs
//
// By request, at us-east-1's prices of 2025: a million units of writing (1 KB each) 0.625 dollars, of reading (4 KB,
// eventually consistent: half a unit) 0.125. Values from 900 bytes on are deflated, which makes a report of some 6 KB one
// of about 1 KB.
//
//   - A report every 2 s: 1 to 2 units of writing, 0.8 to 1.6 dollars a month per instance; it is most of the bill.
//   - An agent that looks at its assignment and the topology each second, at two secrets every five: 1.2 units of reading a
//     second, 0.4 dollars a month. A database server's order, twice a second: 1 more, 0.3 dollars.
//   - A sidecar that looks at the reports of 10 instances twice a second: 3 units a second, 1 dollar a month; of 1,000: held
//     to 50 units a second (maxRate), 16 dollars a month.
//   - A guarded write: 2 units per kilobyte and 2 for the fence. A lease renewed every 5 s: 4 units, 1.3 dollars a month.
//
// So a farm of ten is some 20 dollars a month, about one small instance's price. A stopped farm costs its kilobytes.
//
// Start reading at Open (open.go), then store.go, guard.go and watch.go.
package dynamodb
