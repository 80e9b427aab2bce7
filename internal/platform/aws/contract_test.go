package aws

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/ec2"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform/platformtest"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// printing gives machines something on their consoles, as a system that boots does.
type printing struct {
	*AWS
	server *awstest.Server
}

func (p printing) Output(ctx context.Context, id string, lines int) ([]string, error) {
	for _, i := range p.server.EC2.Instances() {
		if i.ID == id {
			p.server.EC2.Console(id, "booting\nfarmhand: agent started\n")
		}
	}
	return p.AWS.Output(ctx, id, lines)
}

func TestContract(t *testing.T) {
	const delay = 30 * time.Millisecond
	server := awstest.New(awstest.Options{StartDelay: delay, StopDelay: delay, ListLag: 2 * delay})
	t.Cleanup(server.Close)
	withProfile(t, server)
	s := openStore(t)
	platformtest.Run(t, platformtest.Harness{
		Farm: "ec2",
		Open: func(t *testing.T, farm string) platform.Platform {
			p, err := New(Options{Farm: farmSpec(farm), Store: s, Log: slog.New(slog.DiscardHandler),
				Config: func(context.Context) (awssdk.Config, error) { return server.Config(), nil }})
			if err != nil {
				t.Fatal(err)
			}
			return printing{p, server}
		},
		Silent:       true,
		Address:      func(string, int) string { return "" },
		Image:        ec2.ImageARM64,
		MissingImage: "ami-0bbbbbbbbbbbbbbb1",
		Kill:         func(_ *testing.T, _ string, m platform.Machine) { server.EC2.Stop(m.ID) },
		Inspect: func(t *testing.T, m platform.Machine) string {
			key, _, err := store.GetJSON[state.Machine](t.Context(), s, state.MachineKey(m.Farm, m.ID))
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range server.EC2.Instances() {
				if i.ID == m.ID {
					return fmt.Sprintf("%+v\n%s", i, key.Token)
				}
			}
			t.Fatalf("no instance %s", m.ID)
			return ""
		},
	})
}
