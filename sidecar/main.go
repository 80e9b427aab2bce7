// Package sidecar is the `farmhand` command: one file per subcommand. The provider's executable answers to the same
// subcommands, so that a copy of it is all that a sidecar or an agent needs.
package sidecar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/farmhand/terraform-provider-farmhand/sidecar/instance"
)

// Main runs the command with args (without the program's name) and returns its exit status; see exit.go.
func Main(args []string, version string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return execute(ctx, args, version, os.Stdout, os.Stderr)
}

func execute(ctx context.Context, args []string, version string, stdout, stderr io.Writer) int {
	if args == nil {
		args = []string{} // nil makes cobra look at os.Args
	}
	root := newRoot(version)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	started := false
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	fmt.Fprintln(stderr, "farmhand:", err)
	var coded *exitError
	switch {
	case errors.As(err, &coded):
		return coded.code
	case !started:
		fmt.Fprintln(stderr, "See farmhand --help.")
		return ExitUsage
	}
	return ExitFailure
}

func newRoot(version string) *cobra.Command {
	root := &cobra.Command{
		Use:   "farmhand",
		Short: "Keeps server farms as they are declared in Terraform",
		Long: `farmhand keeps server farms as they are declared in Terraform: it launches, heals, scales and ends their
servers, and says why. terraform apply starts it; the commands here look at what it does.`,
		Example: `  farmhand status             # what there is
  farmhand events --follow    # what happens, and why`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentFlags().String("state-dir", "", "folder of the sidecar and its store (default $FARMHAND_STATE_DIR, else ~/.local/state/farmhand)")
	root.PersistentFlags().String("store", "", "address of a store that is elsewhere, dynamodb://TABLE?region=R&bucket=B (default $FARMHAND_STORE, else the file in --state-dir)")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(instance.Commands(version)...)
	root.AddCommand(newRun(version), newStatus(), newMetrics(version), newEvents(), newExplain(), newScale(), newProtect(), newFailover(), newBackup(), newBackups(), newRestore(), newBackupKey(), newSimulated(), newSimulate(), newIAMPolicy(), newVersion(version), newExitCodes())
	return root
}
