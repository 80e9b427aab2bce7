package docker

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

// abandonedAfter is how long a container may stand created and not started before it counts as left behind by an
// interrupted launch. A launch starts it within a second; on a machine that swaps, within several.
const abandonedAfter = 30 * time.Second

// List returns the farm's containers, in one call. A machine that a process paused for a copy and left so, when it died, goes on from here:
// every tick lists.
func (d *Docker) List(ctx context.Context) ([]platform.Machine, error) {
	c, err := d.client(ctx)
	if err != nil {
		return nil, err
	}
	list, err := c.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: d.mine()})
	if err != nil {
		return nil, explain(err, "listing the machines of farm "+d.farm.Name)
	}
	machines := make([]platform.Machine, 0, len(list.Items))
	var copiers []container.Summary
	for _, item := range list.Items {
		if item.Labels[labelCopies] != "" {
			copiers = append(copiers, item)
			continue
		}
		machines = append(machines, d.machine(item, time.Now()))
	}
	d.settleIfLeft(ctx, c, copiers)
	return machines, nil
}

// machine reads one line of the engine's list.
func (d *Docker) machine(item container.Summary, now time.Time) platform.Machine {
	m := machineOf(item.Labels)
	m.ID = item.ID
	m.Launched = time.Unix(item.Created, 0)
	m.Status = statusOf(item.State)
	if item.NetworkSettings != nil {
		m.Address = addressIn(&container.NetworkSettings{Networks: item.NetworkSettings.Networks})
	}
	switch {
	case m.Status == platform.Stopped:
		m.Exit = exitOfStatus(item.Status)
	case m.Status == platform.Pending && now.Sub(m.Launched) > abandonedAfter && !d.launches.held(m.Token):
		m.Status, m.Exit = platform.Stopped, "never started: its launch was interrupted"
	}
	return m
}

// machineOf reads the labels.
func machineOf(labels map[string]string) platform.Machine {
	return platform.Machine{
		Farm: labels[labelFarm], Role: labels[labelRole], Instance: labels[labelInstance],
		Token: labels[labelToken], Generation: labels[labelGeneration],
	}
}

// statusOf translates; "paused" is Up since the engine runs it, and its silent agent tells the rest.
// Podman adds "initialized", "stopping" and "stopped" to Docker's words.
func statusOf(s container.ContainerState) platform.Status {
	switch s {
	case container.StateCreated, container.StateRestarting, "initialized", "configured":
		return platform.Pending
	case container.StateExited, container.StateDead, "stopped":
		return platform.Stopped
	case container.StateRemoving, "stopping":
		return platform.Ending
	}
	return platform.Up
}

// addressIn is the address on the farm's network: the one in use, else, of a container that does not run, the fixed one.
func addressIn(s *container.NetworkSettings) string {
	if s == nil {
		return ""
	}
	for _, e := range s.Networks { // there is but one
		if e == nil {
			continue
		}
		if e.IPAddress.IsValid() {
			return e.IPAddress.String()
		}
		if e.IPAMConfig != nil && e.IPAMConfig.IPv4Address.IsValid() {
			return e.IPAMConfig.IPv4Address.String()
		}
	}
	return ""
}

// exitedStatus is the engine's text in lists: "Exited (137) 3 seconds ago".
var exitedStatus = regexp.MustCompile(`^Exited \((-?\d+)\)`)

// exitOfStatus reads why a container stopped out of the list, which saves one call for each.
func exitOfStatus(status string) string {
	match := exitedStatus.FindStringSubmatch(status)
	if match == nil {
		return strings.ToLower(status)
	}
	code, err := strconv.Atoi(match[1])
	if err != nil {
		return strings.ToLower(status)
	}
	return exitText(code, false, "")
}

// exitText puts an exit status in words. Above 128 it is, by the shell's convention which engines keep, a signal's.
func exitText(code int, outOfMemory bool, engineError string) string {
	s := fmt.Sprintf("exit status %d", code)
	switch {
	case outOfMemory:
		s += ", out of memory"
	case code == 128+int(unix.SIGKILL):
		s += ", killed"
	case code > 128 && unix.SignalName(unix.Signal(code-128)) != "":
		s += ", " + unix.SignalName(unix.Signal(code-128))
	}
	if engineError != "" {
		s += ": " + engineError
	}
	return s
}
