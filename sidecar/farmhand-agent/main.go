// Command farmhand-agent is what runs on instances, under the name farmhand: the agent and what it starts. A release has it for Linux
// beside the provider, which sends it to instances; without it they run a copy of the provider's own executable.
package main

import (
	"os"

	"github.com/farmhand/terraform-provider-farmhand/sidecar/instance"
)

// version is set by the linker.
var version = "dev"

func main() { os.Exit(instance.Main(os.Args[1:], version)) }
