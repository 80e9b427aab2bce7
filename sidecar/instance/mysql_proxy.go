package instance

import (
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/farmhand/terraform-provider-farmhand/internal/sqlproxy"
)

func newMySQLProxy() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use:    "mysql-proxy",
		Short:  "Be the query-splitting proxy of an instance (started by its agent)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return sqlproxy.Run(cmd.Context(), config, slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)))
		},
	}
	c.Flags().StringVar(&config, "config", "", "the proxy's configuration, a JSON file that is read again when it changes")
	_ = c.MarkFlagRequired("config")
	return c
}
