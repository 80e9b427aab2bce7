//go:build !unix

package daemon

import (
	"errors"
	"os"
	"os/exec"
)

var errPlatform = errors.New("a local sidecar needs Linux or macOS; run Terraform there, or in WSL")

func flock(*os.File) error { return errPlatform }
func detach(*exec.Cmd)     {}

// Isolate does nothing here: Start refuses.
func Isolate() {}

func terminate(int) error { return errPlatform }
func kill(int) error      { return errPlatform }
