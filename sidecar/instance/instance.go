// Package instance holds the commands that run on instances. They are all that the farmhand-agent executable has, so that an instance
// does not carry the provider and the sidecar in its memory; the farmhand command has them too.
package instance

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Commands are those that run on instances.
func Commands(version string) []*cobra.Command {
	return []*cobra.Command{newAgent(version), newMySQLProxy()}
}

// Main runs one of them with args (without the program's name) and returns the exit status: 0, 1 if it failed, 2 if the arguments
// are wrong, as farmhand's.
func Main(args []string, version string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return execute(ctx, args, version, os.Stdout, os.Stderr)
}

func execute(ctx context.Context, args []string, version string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "farmhand",
		Short:         "What of Farmhand runs on instances; the farmhand command has the rest",
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(Commands(version)...)
	if args == nil {
		args = []string{} // nil makes cobra look at os.Args
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	started := false
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case started:
		fmt.Fprintln(stderr, "farmhand:", err)
		return 1
	}
	fmt.Fprintln(stderr, "farmhand:", err)
	return 2
}
