// Package backup is where a database's backups lie and what they look like: a Target that holds objects, sealed streams
// (compressed, encrypted with a given key), a catalog of manifests beside them, and which of them are kept.
//
// Under a target everything of a role lies in FARM/ROLE/:
//
//	owner.json                    which farm this is; another farm of the same name is refused
//	full/ID/data                  a sealed stream of the server's own backup tool
//	full/ID/manifest.json         written last: what has none is no backup
//	full/ID/drill.json            how the last restore of it went
//	log/FIRST-ID/data, .json      a binary log, sealed, and what it spans
//
// Nothing here knows SQL. Start at Catalog.
package backup
