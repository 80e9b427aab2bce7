// Package controller is the sidecar's loop: it observes a farm, has the engine decide, and carries the decisions out.
//
// One keeper per farm holds the farm's lease and ticks. Nothing is kept that is not in the store: a sidecar can be
// killed at any point, and the next one finds by record, token and tag what there is, and goes on. The order of
// writes is therefore the design: intent before call, memory before act, topology before termination, the record
// of an instance last when it is forgotten. It chooses no number of instances and names no victim; the engine does.
//
// Start reading at Controller.Run (controller.go), then keeper.run (keeper.go), then keeper.tick (tick.go).
package controller
