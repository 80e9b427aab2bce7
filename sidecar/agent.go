package sidecar

import (
	"github.com/spf13/cobra"

	"github.com/farmhand/terraform-provider-farmhand/internal/agent"
)

func newAgent(version string) *cobra.Command {
	return &cobra.Command{
		Use:   "agent",
		Short: "Be the agent of an instance (started by the platform)",
		Long: `Runs on every instance, as a container's first process or as a service: sets the instance's behavior up, applies
changes of the farm, and reports load and health. It finds its farm in /etc/farmhand/agent.json, which the
platform put there.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return agent.Run(cmd.Context(), agent.Options{Version: version})
		},
	}
}
