// Package gateway is the store for those who cannot open it: agents in containers. The sidecar serves the store's
// interface over HTTP on the farm's own network, and each instance's token opens just what that instance needs.
//
// Server (server.go) and Client (client.go) are the two ends; wire.go is what passes between them and policy.go who
// may touch what. A Client passes the store's contract suite where the policy lets it.
//
// Requests are POST /v1/{get,list,put,delete,watch} with JSON bodies, and GET /v1/blob/{name}; each carries
// "Authorization: Bearer <token>" and the names of farm and instance. Plain HTTP: it never leaves the farm's network,
// which is a bridge on the sidecar's own machine.
package gateway
