// Package docker runs a farm's machines as containers of a Docker or Podman engine.
//
// Each farm has a bridge network of its own; each machine is a container with a fixed address, the agent as its
// PID 1 and labels that say whose it is. Nothing is remembered here: what exists is found by its labels.
// It needs access to the engine's socket and no root, raises no rlimit and runs nothing privileged.
// A snapshot of a data volume is another volume, to which a container copies it while the machine is paused; what makes it valid is told in
// holdings.go, and what is done about copies that were cut off in settle.go.
// Start reading at docker.go and launch.go.
package docker
