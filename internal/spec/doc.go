// Package spec holds what can be declared about a farm: its types, defaults and validation.
//
// Everything imports it and it imports none of ours. Values are plain data: they are written to the
// store as JSON by the provider and read from it by the sidecar, so a field is never renamed, only added.
// Start at Farm, Role and Policy; Validate on each names the attribute at fault.
package spec
