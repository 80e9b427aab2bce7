// Command terraform-provider-farmhand is the Terraform provider and, run with a word such as "run" or "status", the
// farmhand command: the sidecar that the provider deploys and the agent on every instance are copies of this file.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/farmhand/terraform-provider-farmhand/internal/provider"
	"github.com/farmhand/terraform-provider-farmhand/sidecar"
)

// version is set by the linker at a release.
var version = "dev"

func main() {
	// Terraform starts a provider without arguments.
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		os.Exit(sidecar.Main(os.Args[1:], version))
	}
	debug := flag.Bool("debug", false, "serve for a debugger: print what TF_REATTACH_PROVIDERS is to hold, and wait")
	flag.Parse()
	err := providerserver.Serve(context.Background(), provider.New(version), providerserver.ServeOpts{
		Address:         "registry.terraform.io/farmhand/farmhand",
		Debug:           *debug,
		ProtocolVersion: 6,
	})
	if err != nil {
		log.Fatal(err)
	}
}
