package aws

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// What is under way is written down in the farm's partition before AWS is called.

func (p *AWS) batchPrefix(role string) string { return p.farm.Name + "/batch/" + role }
func (p *AWS) batchKey(b batch) string        { return p.batchPrefix(b.Role) + "/" + b.ID }
func (p *AWS) diskPrefix() string             { return p.farm.Name + "/volume/" }
func (p *AWS) diskKey(instance string) string { return p.diskPrefix() + instance }

// batch is one call of CreateFleet, complete enough to be repeated to the letter: a client token with other parameters
// is refused (IdempotentParameterMismatch).
type batch struct {
	ID         string          `json:"id"` // client token, and tag of the machines
	Role       string          `json:"role"`
	Generation string          `json:"generation"`
	Template   string          `json:"template"` // id; it has one version only
	OnDemand   int             `json:"on_demand"`
	Spot       int             `json:"spot"`
	Pools      []pool          `json:"pools"`
	Intents    []state.Machine `json:"intents"` // who the machines are to be
	At         time.Time       `json:"at"`
}

// machineKeys returns who the farm's machines are, by id.
func (p *AWS) machineKeys(ctx context.Context) (map[string]state.Machine, error) {
	prefix := state.MachinePrefix(p.farm.Name)
	items, err := store.ListJSON[state.Machine](ctx, p.store, prefix)
	if err != nil {
		return nil, storeSays(err, "reading which machine is which instance")
	}
	keys := make(map[string]state.Machine, len(items))
	for _, i := range items {
		keys[strings.TrimPrefix(i.Key, prefix)] = i.Value
	}
	return keys, nil
}

// setKey says who a machine is.
func (p *AWS) setKey(ctx context.Context, id string, m state.Machine) error {
	_, err := store.PutJSON(ctx, p.store, state.MachineKey(p.farm.Name, id), m)
	return storeSays(err, "writing which instance machine "+id+" is")
}

func (p *AWS) dropKey(ctx context.Context, id string) error {
	return storeSays(p.store.Delete(ctx, state.MachineKey(p.farm.Name, id)), "forgetting machine "+id)
}

// storeSays gives a store's error the class of one that may pass.
func storeSays(err error, doing string) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%s: %w: %w", doing, err, platform.ErrUnavailable)
}
