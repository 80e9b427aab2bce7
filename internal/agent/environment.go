package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/agent/process"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/configfile"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// writeEnvironment writes the environment for whoever comes later: /etc/farmhand/env to be sourced by a shell
// (a cron job, a person), /etc/farmhand/env.json for everything else. Both hold secrets and are root's alone.
func (a *agent) writeEnvironment(env map[string]string) error {
	var sh strings.Builder
	for _, name := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(&sh, "export %s=%s\n", name, shellQuote(env[name]))
	}
	js, err := json.MarshalIndent(env, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the environment: %w", err)
	}
	for path, content := range map[string][]byte{"etc/farmhand/env": []byte(sh.String()), "etc/farmhand/env.json": append(js, '\n')} {
		f := configfile.File{Path: a.file(path), Mode: 0o600}
		if err := f.Write(context.Background(), content); err != nil {
			return fmt.Errorf("writing the environment: %w", err)
		}
	}
	a.mu.Lock()
	a.told.env = env
	a.mu.Unlock()
	return nil
}

// shellQuote makes one word of s for any shell. Within single quotes only the single quote means something.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// bootScriptTime bounds a boot script where the role has no launch timeout, which otherwise does.
const bootScriptTime = 15 * time.Minute

// runBootScript runs the role's boot script as root.
func (a *agent) runBootScript(ctx context.Context, role spec.Role, env map[string]string) error {
	if role.BootScript == "" {
		return nil
	}
	limit := role.LaunchTimeout.Std()
	if limit <= 0 {
		limit = bootScriptTime
	}
	tooLong := fmt.Errorf("it did not end within %s", spec.Duration(limit))
	ctx, cancel := context.WithTimeoutCause(ctx, limit, tooLong)
	defer cancel()

	c, err := a.script(ctx, "boot-script", role.BootScript, env)
	if err != nil {
		return fmt.Errorf("writing the boot script: %w", err)
	}
	err = a.table.RunCommand(ctx, c)
	var exit *process.ExitError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, tooLong):
		return fmt.Errorf("boot script: %w", tooLong)
	case errors.As(err, &exit) && exit.Signal != 0:
		return fmt.Errorf("boot script was ended by signal %d (%s)", int(exit.Signal), exit.Signal)
	case errors.As(err, &exit):
		return fmt.Errorf("boot script exited %d", exit.Code)
	}
	return fmt.Errorf("boot script: %w", err)
}

// script writes a script to where the agent's files are, and is the command that runs it: by the interpreter that its
// first line names, else by a shell.
func (a *agent) script(ctx context.Context, name, text string, env map[string]string) (process.Command, error) {
	path := a.file("etc/farmhand/" + name)
	if err := (configfile.File{Path: path, Mode: 0o700}).Write(ctx, []byte(text)); err != nil {
		return process.Command{}, err
	}
	c := process.Command{Name: path, Dir: "/"}
	if !strings.HasPrefix(text, "#!") {
		c.Name, c.Args = shell(), []string{path}
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		c.Env = append(c.Env, name+"="+env[name])
	}
	return c, nil
}

// shell is bash where it is, since that is what people write, else sh.
func shell() string {
	const bash = "/bin/bash"
	if _, err := os.Stat(bash); err == nil {
		return bash
	}
	return "/bin/sh"
}
