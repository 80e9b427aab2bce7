package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

// complaint is a text by which engines report something that has no status code of its own.
type complaint struct {
	text   string // part of the engine's message, lower case
	class  error
	advice string
}

// The texts are those of moby (libnetwork, overlay2, runc) and of podman's netavark, as far as they differ.
var complaints = []complaint{
	{"no space left on device", platform.ErrCapacity, "the engine's disk is full: `docker system df` shows by what"},
	{"disk quota exceeded", platform.ErrCapacity, "the engine's disk quota is used up: `docker system df` shows by what"},
	{"cannot allocate memory", platform.ErrCapacity, "the machine is out of memory: lower max of a role or add memory"},
	{"address already in use", platform.ErrCapacity, "another container on the farm's network holds that address: `docker network inspect` names it"},
	{"is already allocated to container", platform.ErrCapacity, "another container on the farm's network holds that address"}, // Podman
	{"no available ipv4 addresses", platform.ErrCapacity, "the farm's network has no free address: choose a larger docker.subnet"},
	{"non-overlapping ipv4 address pool", platform.ErrCapacity, "the engine has no free address range: remove unused networks or set docker.subnet"},
	{"resource temporarily unavailable", platform.ErrCapacity, "the machine is at its limit of processes or threads"},
	{"pool overlaps", platform.ErrInvalid, "another network has addresses in docker.subnet: choose another subnet"},
	{"subnet is already used", platform.ErrInvalid, "another network has addresses in docker.subnet: choose another subnet"},
	{"conflicts with existing route", platform.ErrInvalid, "this machine routes addresses in docker.subnet elsewhere: choose another subnet"},
	{"exec format error", platform.ErrInvalid, "the image and the agent are made for another processor than this machine's"},
	{"error setting rlimit", platform.ErrInvalid, "this machine does not let the engine raise limits: remove default-ulimits from /etc/docker/daemon.json, or with Podman set default_ulimits in containers.conf to no more than the engine's own limits (/proc/PID/limits)"},
}

// explain wraps an engine's error with what was being done, its class and a way out. nil stays nil.
func explain(err error, doing string) error {
	if err == nil {
		return nil
	}
	doing = strings.TrimSpace(doing)
	if errors.Is(err, platform.ErrUnavailable) || errors.Is(err, platform.ErrCapacity) || errors.Is(err, platform.ErrInvalid) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	lower := strings.ToLower(err.Error())
	for _, c := range complaints {
		if strings.Contains(lower, c.text) {
			return fmt.Errorf("%s: %w: %s: %w", doing, err, c.advice, c.class)
		}
	}
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", doing, err)
	case errors.Is(err, context.DeadlineExceeded), errdefs.IsUnavailable(err), errdefs.IsDeadlineExceeded(err):
		return fmt.Errorf("%s: the engine did not answer in time: %w: %w", doing, err, platform.ErrUnavailable)
	case client.IsErrConnectionFailed(err), isBrokenConnection(lower):
		return fmt.Errorf("%s: %w: is the engine running? `systemctl status docker`: %w", doing, err, platform.ErrUnavailable)
	case errdefs.IsPermissionDenied(err) && strings.Contains(lower, "permission denied"):
		return fmt.Errorf("%s: %w: give this user access to the engine's socket (`usermod -aG docker USER`, then log in again): %w", doing, err, platform.ErrUnavailable)
	case errdefs.IsInvalidArgument(err):
		return fmt.Errorf("%s: %w: %w", doing, err, platform.ErrInvalid)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// isBrokenConnection knows an engine that went away in the middle of a call; the client reports those as plain errors.
func isBrokenConnection(lower string) bool {
	for _, text := range []string{"connection refused", "connection reset", "broken pipe", "unexpected eof", "error during connect", "is the docker daemon running", ": eof"} {
		if strings.Contains(lower, text) {
			return true
		}
	}
	return false
}

// isUnanswered tells that the engine may yet do what it was asked for.
func isUnanswered(err error) bool {
	return err != nil && !errors.Is(err, errGivenUp) && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errdefs.IsDeadlineExceeded(err) ||
		client.IsErrConnectionFailed(err) || isBrokenConnection(strings.ToLower(err.Error())))
}

// isNameTaken knows the refusal of a second container of one name: a conflict, which Podman 4 reports as a plain failure.
func isNameTaken(err error) bool {
	return errdefs.IsConflict(err) || errdefs.IsInternal(err) && strings.Contains(err.Error(), "name") && strings.Contains(err.Error(), "already in use")
}

// isMissingImage and isMissingNetwork tell the two things apart that a 404 at create or start can be about.
func isMissingImage(err error) bool {
	return errdefs.IsNotFound(err) && strings.Contains(strings.ToLower(err.Error()), "image")
}

func isMissingNetwork(err error) bool {
	return err != nil && strings.Contains(strings.ToLower(err.Error()), "network") && strings.Contains(strings.ToLower(err.Error()), "not found")
}
