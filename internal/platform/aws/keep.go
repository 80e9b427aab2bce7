package aws

import (
	"context"
	"errors"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// Keep does what no single call asks for: volumes are attached to the machines of their index, addresses associated, stocks of stopped
// machines filled, renewed and emptied, launches that a crash cut off brought to their end, machines named for people, launch templates
// of the past deleted. Each of it is a few calls at most, and the rest follows at the next tick.
func (p *AWS) Keep(ctx context.Context, roles []spec.Role, generations map[string]string) error {
	p.keeping.Lock()
	defer p.keeping.Unlock()
	s, err := p.look(ctx, oneTick)
	if err != nil {
		return err
	}
	return errors.Join(
		p.attach(ctx, s),
		p.keepAddresses(ctx, roles, s),
		p.keepStock(ctx, roles, generations, s),
		p.nameForPeople(ctx, s),
		p.tidyKeys(ctx, s),
		p.tidyTemplates(ctx, s, generations),
	)
}

// forgetAfter is when the key of a machine that was ended goes, if EC2 has not said before that the machine is gone.
const forgetAfter = 15 * time.Minute

// tidyKeys forgets machines that are gone and were told to.
func (p *AWS) tidyKeys(ctx context.Context, s *sight) error {
	for id, key := range s.keys {
		h, listed := s.host(id)
		lost := !listed && p.now().Sub(laterOf(key.At, key.Ended)) > forgetAfter
		if lost || listed && h.gone() && (!key.Ended.IsZero() || key.Warm != "") {
			if err := p.dropKey(ctx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
