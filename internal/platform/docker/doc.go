// Package docker runs a farm's machines as containers of a Docker or Podman engine.
//
// Each farm has a bridge network of its own; each machine is a container with a fixed address, the agent as its
// PID 1 and labels that say whose it is. Nothing is remembered here: what exists is found by its labels.
// It needs access to the engine's socket and no root, raises no rlimit and runs nothing privileged.
// Start reading at docker.go and launch.go.
package docker
