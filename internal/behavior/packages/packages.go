// Package packages installs the Debian packages that an image lacks.
package packages

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
)

// installTime bounds the whole: a mirror that answers by a byte a minute must not hold a boot for ever, and the
// largest behavior took 16 s from a near mirror.
const installTime = 10 * time.Minute

// installed is true if every package named is: a package that was removed but has configuration left is known
// to dpkg too.
const installed = `for p; do [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || exit 1; done`

// policy keeps Debian's maintainer scripts from starting services: the agent starts them, configured.
const policy = "#!/bin/sh\n# Written by farmhand while it installs packages: nothing starts by itself.\nexit 101\n"

// Ensure installs those of names that are missing. Root is where policy-rc.d is written under.
func Ensure(ctx context.Context, run behavior.Commander, root string, names ...string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, installTime,
		fmt.Errorf("installing packages took longer than %s. Use an image that has them", installTime))
	defer cancel()

	check := func(names ...string) error {
		return run.Run(ctx, "sh", append([]string{"-c", installed, "sh"}, names...)...)
	}
	if len(names) == 0 || check(names...) == nil {
		return nil
	}
	var missing []string
	for _, name := range names {
		if check(name) != nil {
			missing = append(missing, name)
		}
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}

	restore, err := denyStarts(filepath.Join(root, "usr/sbin/policy-rc.d"))
	if err != nil {
		return fmt.Errorf("keeping services from starting by themselves: %w", err)
	}
	defer restore()
	apt := func(args ...string) error {
		args = append([]string{"DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y",
			"-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=60", "-o", "Dpkg::Use-Pty=0"}, args...)
		return run.Run(ctx, "env", args...)
	}
	if err := apt("update"); err != nil {
		return fmt.Errorf("updating the list of packages to install %v: %w", missing, err)
	}
	if err := apt(append([]string{"install", "--no-install-recommends"}, missing...)...); err != nil {
		return fmt.Errorf("installing %v: %w", missing, err)
	}
	return nil
}

// denyStarts writes policy-rc.d; restore removes it again unless the image had one of its own, which is left as it is.
func denyStarts(path string) (restore func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	_, err = file.WriteString(policy)
	return func() { os.Remove(path) }, errors.Join(err, file.Close())
}
