package sidecar

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform/simulated"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

func newSimulated() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "simulated",
		Short: "Drive a simulated farm: put load on it, break its servers",
		Long: `Drives a farm whose platform is simulated = {}: its servers are virtual, its sidecar is real. What it does about
load and faults is what it would do on containers or EC2.`,
		Example: `  farmhand simulated load shop/web 6     # 6 over 3 servers is a load average of 2 on each
  farmhand simulated kill shop web-2`,
	}
	load := &cobra.Command{
		Use:   "load FARM/ROLE LOAD",
		Short: "Put a load on a role, in the unit of load average; 0 takes it away",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			farm, role, ok := strings.Cut(args[0], "/")
			demand, err := strconv.ParseFloat(args[1], 64)
			if !ok || err != nil || demand < 0 {
				return usage("load takes FARM/ROLE and a number, as in: farmhand simulated load shop/web 6")
			}
			return simulatedFarm(cmd, farm, func(ctx context.Context, s store.Store) error {
				if _, err := s.Get(ctx, state.RoleKey(farm, role)); errors.Is(err, store.ErrNotFound) {
					return absent("farm %s has no role %q", farm, role)
				} else if err != nil {
					return err
				}
				if err := simulated.SetDemand(ctx, s, farm, role, demand); err != nil {
					return err
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "load %g on %s/%s, divided over its running servers\n", demand, farm, role)
				return err
			})
		},
	}
	cmd.AddCommand(load,
		newFault("kill", "Stop a server as a crash would", "killed", simulated.Kill),
		newFault("hang", "Make a server's agent fall silent while the server stays up", "made to fall silent", simulated.Hang),
		newFault("sicken", "Make a server's health check fail while its agent goes on reporting", "made sick",
			func(ctx context.Context, s store.Store, farm, instance string) error {
				return simulated.Sicken(ctx, s, farm, instance, time.Now())
			}),
		newFault("fail-snapshot", "Make the next snapshot of a server's volume fail", "will fail its next snapshot", simulated.FailSnapshot))
	return cmd
}

func newFault(name, short, done string, inflict func(ctx context.Context, s store.Store, farm, instance string) error) *cobra.Command {
	return &cobra.Command{
		Use:   name + " FARM INSTANCE",
		Short: short,
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			farm, instance := args[0], args[1]
			return simulatedFarm(cmd, farm, func(ctx context.Context, s store.Store) error {
				if _, err := s.Get(ctx, state.InstanceKey(farm, instance)); errors.Is(err, store.ErrNotFound) {
					return absent("farm %s has no server %q; farmhand status shows which there are", farm, instance)
				}
				err := inflict(ctx, s, farm, instance)
				if err == nil {
					_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", instance, done)
				}
				return err
			})
		},
	}
}

// simulatedFarm runs f on the store, if the farm is there and simulated.
func simulatedFarm(cmd *cobra.Command, farm string, f func(context.Context, store.Store) error) error {
	ctx := cmd.Context()
	s, _, err := storeOf(cmd)
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := theFarm(ctx, s, []string{farm}); err != nil {
		return err
	}
	declared, _, err := store.GetJSON[state.Declared[spec.Farm]](ctx, s, state.FarmKey(farm))
	if err != nil {
		return err
	}
	if declared.Spec.Simulated == nil {
		return fmt.Errorf("farm %s runs on %s, not on the simulated platform: break it by that platform's own means", farm, declared.Spec.Platform())
	}
	return f(ctx, s)
}
