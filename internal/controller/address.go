package controller

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// firstAddress is the offset in the subnet at which instances begin; below are the gateway's and room for people.
const firstAddress = 10

// claim takes an address for an instance. Its key names the address, so that two writers cannot take the same one.
type claim struct {
	Instance string `json:"instance"`
}

func claimPrefix(farm string) string       { return farm + "/claim/" }
func claimKey(farm, address string) string { return claimPrefix(farm) + address }

// EnsureAddress returns the address that belongs to an instance's name, and allots the lowest free one of the farm's
// subnet from .10 up if it has none yet. "" where the platform gives addresses itself. It may be called by several
// processes at once. ErrCapacity (of platform) if the subnet is full.
func EnsureAddress(ctx context.Context, s store.Store, farm, instance string) (string, error) {
	a, _, err := store.GetJSON[state.Address](ctx, s, state.AddressKey(farm, instance))
	if err == nil {
		return a.Address, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return "", fmt.Errorf("allotting an address to %s: %w", instance, err)
	}
	declared, _, err := store.GetJSON[state.Declared[spec.Farm]](ctx, s, state.FarmKey(farm))
	if err != nil {
		return "", fmt.Errorf("allotting an address to %s: %w", instance, err)
	}
	subnet := subnetOf(declared.Spec)
	if subnet == "" {
		return "", nil
	}
	address, err := claimAddress(ctx, s, farm, instance, subnet)
	if err != nil {
		return "", fmt.Errorf("allotting an address to %s: %w", instance, err)
	}
	if _, err := store.PutJSON(ctx, s, state.AddressKey(farm, instance), state.Address{Address: address}); err != nil {
		return "", fmt.Errorf("allotting an address to %s: %w", instance, err)
	}
	return address, nil
}

func subnetOf(farm spec.Farm) string {
	switch {
	case farm.Docker != nil:
		return farm.Docker.Subnet
	case farm.Simulated != nil:
		return farm.Simulated.Subnet
	}
	return ""
}

// claimAddress finds the claim that the instance already has, or makes one.
func claimAddress(ctx context.Context, s store.Store, farm, instance, subnet string) (string, error) {
	prefix, err := netip.ParsePrefix(subnet)
	if err != nil {
		return "", fmt.Errorf("subnet %q: %w: %w", subnet, platform.ErrInvalid, err)
	}
	for {
		claims, err := store.ListJSON[claim](ctx, s, claimPrefix(farm))
		if err != nil {
			return "", err
		}
		taken := map[string]bool{}
		for _, c := range claims {
			address := strings.TrimPrefix(c.Key, claimPrefix(farm))
			if c.Value.Instance == instance {
				return address, nil // a crash came between claim and address
			}
			taken[address] = true
		}
		free := lowestFree(prefix, taken)
		if free == "" {
			return "", fmt.Errorf("%w: all addresses of subnet %s are taken by %d instances; declare the farm with a larger subnet",
				platform.ErrCapacity, subnet, len(claims))
		}
		_, err = store.PutJSON(ctx, s, claimKey(farm, free), claim{Instance: instance}, store.If(store.Absent()))
		if err == nil {
			return free, nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return "", err
		}
	}
}

// lowestFree is the lowest address from firstAddress up that is neither taken nor the broadcast address; "" for none.
func lowestFree(prefix netip.Prefix, taken map[string]bool) string {
	a := prefix.Masked().Addr()
	for range firstAddress {
		a = a.Next()
	}
	for ; prefix.Contains(a) && prefix.Contains(a.Next()); a = a.Next() {
		if !taken[a.String()] {
			return a.String()
		}
	}
	return ""
}

// releaseAddresses frees the addresses of all indexes of a role. The claim goes last: it is what keeps others off.
func releaseAddresses(ctx context.Context, s store.Store, farm, role string) error {
	addresses, err := s.List(ctx, state.AddressPrefix(farm))
	if err != nil {
		return err
	}
	for _, a := range addresses {
		if roleOf(strings.TrimPrefix(a.Key, state.AddressPrefix(farm))) == role {
			if err := s.Delete(ctx, a.Key); err != nil {
				return err
			}
		}
	}
	claims, err := store.ListJSON[claim](ctx, s, claimPrefix(farm))
	if err != nil {
		return err
	}
	for _, c := range claims {
		if roleOf(c.Value.Instance) == role {
			if err := s.Delete(ctx, c.Key); err != nil {
				return err
			}
		}
	}
	return nil
}

// roleOf is the role in an instance's name: "web" of "web-2"; "" if it is none.
func roleOf(instance string) string {
	i := strings.LastIndexByte(instance, '-')
	if i < 0 {
		return ""
	}
	if _, err := strconv.Atoi(instance[i+1:]); err != nil {
		return ""
	}
	return instance[:i]
}
