// Package ec2 is what the agent asks of the EC2 instance that it runs on: who it is, what AWS has announced for it, whether
// it reboots, and the disk of its data. It asks the instance's metadata (IMDSv2 only) and the machine, never AWS' API.
package ec2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Machine is this instance. Safe for concurrent use. The zero value is not: use New.
type Machine struct {
	client *imds.Client
	root   string // before every path; "/"

	mu    sync.Mutex
	sizes map[string]string // of volumes' disks, in sectors, as Grow last saw them
	// run runs a program and returns what it printed; a status other than 0 is an exec.ExitError.
	run func(ctx context.Context, name string, args ...string) (string, error)
}

// New asks the metadata service where AWS has it, or where AWS_EC2_METADATA_SERVICE_ENDPOINT says.
func New() *Machine {
	return &Machine{
		client: imds.New(imds.Options{EnableFallback: aws.FalseTernary}),
		root:   "/",
		run: func(ctx context.Context, name string, args ...string) (string, error) {
			out, err := exec.CommandContext(ctx, name, args...).Output()
			return string(out), err
		},
	}
}

// Identity is who this instance is.
type Identity struct {
	ID      string // "i-0123456789abcdef0"
	Zone    string // "eu-west-1a"
	Address string // private IPv4
}

// Identity asks for it.
func (m *Machine) Identity(ctx context.Context) (Identity, error) {
	var i Identity
	for path, to := range map[string]*string{"instance-id": &i.ID, "placement/availability-zone": &i.Zone, "local-ipv4": &i.Address} {
		v, err := m.metadata(ctx, path)
		if err != nil {
			return Identity{}, err
		}
		*to = strings.TrimSpace(v)
	}
	if i.ID == "" {
		return Identity{}, errors.New("the instance's metadata has no instance-id")
	}
	return i, nil
}

// errNone: the metadata have no such thing, now.
var errNone = errors.New("none")

func (m *Machine) metadata(ctx context.Context, path string) (string, error) {
	out, err := m.client.GetMetadata(ctx, &imds.GetMetadataInput{Path: path})
	var response interface{ HTTPStatusCode() int }
	if errors.As(err, &response) && response.HTTPStatusCode() == http.StatusNotFound {
		return "", errNone
	}
	if err != nil {
		return "", fmt.Errorf("asking the instance's metadata for %s: %w: the instance must have its metadata service (IMDSv2) turned on", path, err)
	}
	defer out.Content.Close()
	b, err := io.ReadAll(out.Content)
	return string(b), err
}

// Notices are what AWS has announced for the instance, in no order; empty for nothing. On an error nothing is known.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-categories.html
func (m *Machine) Notices(ctx context.Context) ([]state.Notice, error) {
	notices := []state.Notice{}
	var action struct {
		Action string
		Time   time.Time
	}
	err := m.announced(ctx, "spot/instance-action", &action)
	if err != nil {
		return nil, err
	}
	if action.Action != "" {
		notices = append(notices, state.Notice{Kind: "spot interruption", Before: action.Time, Text: "AWS takes the Spot instance back: " + action.Action})
	}
	var rebalance struct{ NoticeTime time.Time }
	if err := m.announced(ctx, "events/recommendations/rebalance", &rebalance); err != nil {
		return nil, err
	}
	if !rebalance.NoticeTime.IsZero() {
		notices = append(notices, state.Notice{Kind: "rebalance recommendation", Text: "AWS says since " + rebalance.NoticeTime.UTC().Format(time.RFC3339) + " that the Spot instance may be interrupted soon"})
	}
	var scheduled []struct{ Code, Description, State, NotBefore string }
	if err := m.announced(ctx, "events/maintenance/scheduled", &scheduled); err != nil {
		return nil, err
	}
	for _, e := range scheduled {
		// An event that is over is shown for a week.
		if e.State != "active" {
			continue
		}
		n := state.Notice{Kind: "maintenance", Text: e.Code + ": " + e.Description}
		if e.Code == "instance-retirement" || e.Code == "instance-stop" {
			n.Kind = "retirement"
		}
		if at, err := time.Parse("2 Jan 2006 15:04:05 MST", e.NotBefore); err == nil {
			n.Before = at
		}
		notices = append(notices, n)
	}
	return notices, nil
}

// announced reads into v; nothing where there is nothing.
func (m *Machine) announced(ctx context.Context, path string, v any) error {
	text, err := m.metadata(ctx, path)
	if errors.Is(err, errNone) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), v); err != nil {
		return fmt.Errorf("reading the instance's metadata %s: %w", path, err)
	}
	return nil
}

// Rebooting tells whether the machine is going down to come up again. It is asked by an agent that is told to stop.
func (m *Machine) Rebooting(ctx context.Context) bool {
	// During a reboot systemd has a job to start reboot.target: https://www.freedesktop.org/software/systemd/man/latest/bootup.html
	out, err := m.run(ctx, "systemctl", "list-jobs", "--no-legend", "--no-pager")
	if err != nil {
		return false // no systemd
	}
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) >= 3 && (f[1] == "reboot.target" || f[1] == "kexec.target" || f[1] == "soft-reboot.target") && f[2] == "start" {
			return true
		}
	}
	return false
}
