package instance

import (
	"github.com/spf13/cobra"

	"github.com/farmhand/terraform-provider-farmhand/internal/agent"
)

func newAgent(version string) *cobra.Command {
	o := agent.Options{Version: version}
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Be the agent of an instance (started by the platform)",
		Long: `Runs on every instance, as a container's first process or as a service: sets the instance's behavior up, applies
changes of the farm, and reports load and health. It finds its farm in /etc/farmhand/agent.json, which the
platform put there.

On EC2 it is given the store's address and the farm instead: it asks the instance's metadata which machine it is, logs in
to the store with the instance profile, and waits there to be told which instance it is to be.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return agent.Run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Store, "store", "", "address of the farm's store, as dynamodb://TABLE?region=R&bucket=B")
	cmd.Flags().StringVar(&o.Farm, "farm", "", "the farm, with --store")
	cmd.MarkFlagsRequiredTogether("store", "farm")
	return cmd
}
