package aws

import (
	"context"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// repeatFor is how long a call is repeated by its client token after a crash. Later its machines are listed by their tag.
const repeatFor = 10 * time.Minute

func (p *AWS) noteBatch(ctx context.Context, b batch) error {
	_, err := store.PutJSON(ctx, p.store, p.batchKey(b), b)
	return storeSays(err, "writing a launch down")
}

func (p *AWS) dropBatch(ctx context.Context, b batch) error {
	return storeSays(p.store.Delete(ctx, p.batchKey(b)), "crossing a launch off")
}

// settle brings launches of the role to their end that were written down and whose outcome was not: of a sidecar that crashed, or
// whose call was lost. The same call with the same token yields the same machines; s is brought up to date.
func (p *AWS) settle(ctx context.Context, role string, s *sight) error {
	open, err := store.ListJSON[batch](ctx, p.store, p.batchPrefix(role)+"/")
	if err != nil {
		return storeSays(err, "reading unfinished launches")
	}
	for _, o := range open {
		b := o.Value
		var hosts []host
		for _, h := range s.hosts {
			if h.batch == b.ID {
				hosts = append(hosts, h)
			}
		}
		if len(hosts) < b.OnDemand+b.Spot && p.now().Sub(b.At) < repeatFor {
			p.log.Info("repeating a launch whose outcome is not known", "role", role, "batch", b.ID)
			again, err := p.fleet(ctx, b)
			if err != nil && outcomeUnknown(ctx, err) {
				return err
			}
			if err != nil {
				p.log.Warn("a launch that was under way cannot be repeated; its machines are taken as they are listed", "role", role, "error", err)
			}
			for _, h := range again {
				if _, listed := s.host(h.id); !listed {
					s.hosts = append(s.hosts, h)
					hosts = append(hosts, h)
				}
			}
		}
		if err := p.nameThem(ctx, b, hosts, s); err != nil {
			return err
		}
		if err := p.dropBatch(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// nameThem gives the machines of a call that have no name yet to the intents that have no machine.
func (p *AWS) nameThem(ctx context.Context, b batch, hosts []host, s *sight) error {
	served := map[string]bool{}
	for _, key := range s.keys {
		served[key.Token] = key.Token != ""
	}
	var waiting []state.Machine
	for _, i := range b.Intents {
		if !served[i.Token] {
			waiting = append(waiting, i)
		}
	}
	for _, h := range hosts {
		if _, known := s.keys[h.id]; known || len(waiting) == 0 {
			continue
		}
		key := waiting[0]
		waiting = waiting[1:]
		key.At = p.now()
		if err := p.setKey(ctx, h.id, key); err != nil {
			return err
		}
		s.keys[h.id] = key
	}
	return nil
}
