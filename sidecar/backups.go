package sidecar

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/backup/targets"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

func newBackups() *cobra.Command {
	var asJSON bool
	var to string
	cmd := &cobra.Command{
		Use:   "backups [FARM/]ROLE | backups --to PLACE [FARM/ROLE]",
		Short: "List a database's backups",
		Long: `Lists what the place of the role's backups holds, asked of that place itself, of which spans of time every transaction can be
restored, and where binary logs are missing. With --to it looks into a place without any farm: whose backups lie there, or what a farm
left there that is gone. Nothing is decrypted, and no key is needed.`,
		Example: `  farmhand backups shop/mysql
  farmhand backups --to s3://shop-backups/farmhand
  farmhand backups --to s3://shop-backups/farmhand shop/mysql`,
		Args: cobra.MaximumNArgs(1),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&to, "to", "", "s3://BUCKET/PREFIX or file:///FOLDER: look there, whatever farms there are")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		var l backupList
		var err error
		switch {
		case to == "" && len(args) == 0:
			return usage("name the role, as in farmhand backups shop/mysql, or a place to look into with --to")
		case to == "":
			l, err = backupsOfRole(cmd, args[0])
		default:
			target, err := openPlace(ctx, to)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				all, err := listPlace(ctx, target)
				if err != nil {
					return err
				}
				return printPlace(cmd.OutOrStdout(), all, asJSON)
			}
			if l, err = backupsLeft(ctx, target, to, args[0]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
		if asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(l)
		}
		return l.print(cmd.OutOrStdout())
	}
	return cmd
}

// backupsOfRole are those of a declared role.
func backupsOfRole(cmd *cobra.Command, arg string) (l backupList, err error) {
	ctx := cmd.Context()
	s, _, err := storeOf(cmd)
	if err != nil {
		return l, err
	}
	defer s.Close()
	farm, role, declared, err := theBackedUp(ctx, s, arg)
	if err != nil {
		return l, err
	}
	target, err := (&targets.Targets{AWS: cloudConfig}).Open(ctx, declared.Backup.To)
	if err != nil {
		return l, err
	}
	if l, err = listBackups(ctx, backup.Catalog{Target: target, Farm: farm, Role: role}); err != nil {
		return l, err
	}
	standing, _, _ := store.GetJSON[state.Backups](ctx, s, state.BackupsKey(farm, role)) // none: nothing was looked at yet
	l.stands(standing)
	return l, nil
}

// backupsLeft are those that lie in a place under a farm's and a role's name.
func backupsLeft(ctx context.Context, target backup.Target, to, arg string) (l backupList, err error) {
	farm, role, ok := strings.Cut(arg, "/")
	if !ok || farm == "" || role == "" {
		return l, usage("%q: with --to, write FARM/ROLE", arg)
	}
	c := backup.Catalog{Target: target, Farm: farm, Role: role}
	if _, err := c.Owner(ctx); errors.Is(err, backup.ErrNotFound) {
		return l, absent("nobody has stored backups of %s in %s; farmhand backups --to %s lists whose there are", arg, to, to)
	} else if err != nil {
		return l, err
	}
	return listBackups(ctx, c)
}
