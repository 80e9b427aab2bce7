// Command agent is nothing but the agent, for the tests that run it in containers.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/farmhand/terraform-provider-farmhand/internal/agent"
)

func main() {
	if err := agent.Run(context.Background(), agent.Options{Version: "test"}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
