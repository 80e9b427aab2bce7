package sidecar

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/farmhand/terraform-provider-farmhand/internal/deploy/policy"
)

func newIAMPolicy() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "iam-policy",
		Short: "Print what Farmhand needs to be allowed in an AWS account",
		Long: `Prints the least that is needed as an IAM policy in JSON, scoped by tag (farmhand:farm) and by partition of the
store's table; with --explain why each line is there. It asks AWS nothing. The provider gives the same policies to
the roles that it makes.`,
		Example: `  farmhand iam-policy --for instance --farm shop --bucket my-bucket
  farmhand iam-policy --for provider --account 123456789012 --region eu-west-1 --explain`,
		Args: cobra.NoArgs,
	}
	var s policy.Scope
	f := cmd.Flags()
	whom := f.String("for", "sidecar", "sidecar, instance, or provider (whoever runs terraform apply)")
	f.StringSliceVar(&s.Farms, "farm", nil, "farms that it is for; may be given several times (default all; an instance is of one)")
	f.StringVar(&s.Table, "table", "farmhand", "the store's table")
	f.StringVar(&s.Bucket, "bucket", "", "the store's bucket (default farmhand-ACCOUNT-REGION)")
	f.StringVar(&s.Region, "region", "*", "region")
	f.StringVar(&s.Account, "account", "*", "number of the account")
	f.StringSliceVar(&s.Backups, "backups", nil, "BUCKET or BUCKET/PREFIX that roles are backed up to; may be given several times")
	f.StringSliceVar(&s.Sources, "restore-from", nil, "BUCKET/PREFIX/FARM/ROLE of another farm's backups that are restored from; may be given several times")
	f.StringVar(&s.LogGroup, "log-group", "", "CloudWatch log group that the sidecar writes to (default none)")
	explain := f.Bool("explain", false, "say why, line by line, instead of JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if s.Bucket == "" {
			s.Bucket = "farmhand-" + s.Account + "-" + s.Region
		}
		for _, from := range s.Sources {
			if strings.Count(strings.Trim(from, "/"), "/") < 2 {
				return usage("--restore-from %q: write BUCKET/FARM/ROLE, or BUCKET/PREFIX/FARM/ROLE", from)
			}
		}
		var d policy.Document
		switch {
		case *whom == "instance" && len(s.Farms) != 1:
			return usage("--for instance: name the one farm that the instances are of, as in --farm shop")
		case *whom == "instance":
			d = policy.Instance(s)
		case *whom == "sidecar":
			d = policy.Sidecar(s)
		case *whom == "provider":
			d = policy.Provider(s)
		default:
			return usage("--for %q: write sidecar, instance or provider", *whom)
		}
		text := d.JSON()
		if *explain {
			text = d.Explain()
		}
		_, err := fmt.Fprint(cmd.OutOrStdout(), text)
		return err
	}
	return cmd
}
