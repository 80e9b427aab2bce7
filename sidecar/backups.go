package sidecar

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/backup/targets"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

func newBackups() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "backups [FARM/]ROLE",
		Short: "List a database's backups",
		Long: `Lists what the place of the role's backups holds, asked of that place itself, of which spans of time every transaction can be
restored, and where binary logs are missing.`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		s, _, err := storeOf(cmd)
		if err != nil {
			return err
		}
		defer s.Close()
		farm, role, declared, err := theBackedUp(ctx, s, args[0])
		if err != nil {
			return err
		}
		target, err := (&targets.Targets{AWS: cloudConfig}).Open(ctx, declared.Backup.To)
		if err != nil {
			return err
		}
		l, err := listBackups(ctx, backup.Catalog{Target: target, Farm: farm, Role: role})
		if err != nil {
			return err
		}
		standing, _, _ := store.GetJSON[state.Backups](ctx, s, state.BackupsKey(farm, role)) // none: nothing was looked at yet
		l.stands(standing)
		if asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(l)
		}
		return l.print(cmd.OutOrStdout())
	}
	return cmd
}
