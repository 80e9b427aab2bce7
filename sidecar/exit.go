package sidecar

import (
	"fmt"

	"github.com/spf13/cobra"
)

// Exit statuses of every subcommand. docs/exit-codes.md says the same.
const (
	ExitOK      = 0
	ExitFailure = 1 // what was asked for failed; standard error says why
	ExitUsage   = 2 // the command line is wrong; nothing was done
	ExitAbsent  = 3 // there is nothing of the kind: no sidecar runs here, no store, no farm of that name
)

// exitError is an error with an exit status of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return &exitError{ExitUsage, fmt.Errorf(format, args...)}
}

func absent(format string, args ...any) error {
	return &exitError{ExitAbsent, fmt.Errorf(format, args...)}
}

// exitCodes is `farmhand help exit-codes`.
const exitCodes = `Every farmhand command ends with one of these exit statuses:

  0  What was asked for was done or shown. A sidecar that was told to stop, too.
  1  It failed; standard error says what, why, and the way out.
  2  The command line is wrong: an unknown command or flag, a missing argument. Nothing was done.
  3  There is nothing of the kind: no sidecar runs in this state directory (farmhand status still prints
     what the store holds), no store, or no farm, role or instance of that name.

An agent (farmhand agent) that is a container's first process ends with 0 when it was told to end and its
service stopped in time, else with 1.
`

func newExitCodes() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "What the exit statuses mean", Long: exitCodes}
}
