// Command farmhand is the sidecar, the agent, and the window on both. See package sidecar.
package main

import (
	"os"

	"github.com/farmhand/terraform-provider-farmhand/sidecar"
)

// version is set by the linker.
var version = "dev"

func main() { os.Exit(sidecar.Main(os.Args[1:], version)) }
