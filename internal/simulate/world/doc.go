// Package world is a role's servers in virtual time: demand comes from a trace and divides itself over who serves,
// machines take a while to boot, some fail, and a Pilot decides at every tick how many there are to be.
//
// One of the pilots is Farmhand: the very engine.Decide, metric.OfRole and engine.Warm that the sidecar calls, fed with
// reports as an agent writes them (farmhand.go). The others are rules of the field that only choose a number
// (numbers.go). All live in the same world, with the same luck. Start at Run.
package world
