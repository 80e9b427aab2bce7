package aws

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Destroy removes what the farm has beside machines and volumes: launch templates, Elastic IP addresses, machines in stock and the
// notes about all that. An error while there are machines.
func (p *AWS) Destroy(ctx context.Context) error {
	s, err := p.look(ctx, 0)
	if err != nil {
		return err
	}
	var stock, left []string
	for _, h := range s.hosts {
		key := s.keys[h.id]
		switch {
		case h.gone() || h.state == types.InstanceStateNameShuttingDown || !key.Ended.IsZero():
		case key.Warm != "":
			stock = append(stock, h.id)
		default:
			left = append(left, firstOf(key.Instance, h.name, h.role)+" ("+h.id+")")
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("removing farm %s: machines are left: %s", p.farm.Name, strings.Join(left, ", "))
	}
	if len(stock) > 0 {
		if err := p.endStock(ctx, stock, s); err != nil {
			return err
		}
	}
	templates, err := p.templates(ctx)
	if err != nil {
		return err
	}
	for _, t := range templates {
		if err := p.deleteTemplate(ctx, t); err != nil {
			return err
		}
	}
	addresses, err := p.askAddresses(ctx)
	if err != nil {
		return err
	}
	for _, a := range addresses {
		if err := p.release(ctx, a); err != nil {
			return err
		}
	}
	if err := p.deleteSnapshots(ctx, filter("tag-key", tagMove)); err != nil {
		return err
	}
	return p.forgetNotes(ctx)
}

// forgetNotes deletes what was written down of machines and launches. Volumes that are kept keep theirs.
func (p *AWS) forgetNotes(ctx context.Context) error {
	volumes, err := p.volumes(ctx)
	if err != nil {
		return err
	}
	kept := map[string]bool{}
	for _, v := range volumes {
		kept[p.diskKey(tag(v.Tags, tagInstance))] = true
	}
	for _, prefix := range []string{state.MachinePrefix(p.farm.Name), p.batchPrefix(""), p.diskPrefix(), p.shotPrefix(), p.dealPrefix()} {
		entries, err := p.store.List(ctx, prefix)
		if err != nil {
			return storeSays(err, "forgetting the machines of farm "+p.farm.Name)
		}
		for _, e := range entries {
			if kept[e.Key] {
				continue
			}
			if err := p.store.Delete(ctx, e.Key); err != nil {
				return storeSays(err, "forgetting the machines of farm "+p.farm.Name)
			}
		}
	}
	return nil
}
