package aws

import (
	"context"
	"errors"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// Keep does what no single call asks for: volumes are attached to the machines of their index, addresses associated, stocks of stopped
// machines filled, renewed and emptied, launches that a crash cut off brought to their end, machines named for people, launch templates
// of the past deleted, leftovers of moved volumes too. It makes a few calls at most (see budgetOf), and the rest follows at the next
// tick.
func (p *AWS) Keep(ctx context.Context, roles []spec.Role, generations map[string]string) error {
	p.keeping.Lock()
	defer p.keeping.Unlock()
	s, err := p.look(ctx, oneTick)
	if err != nil {
		return err
	}
	p.turn++
	b := budgetOf(len(s.hosts))
	return errors.Join(
		p.attach(ctx, s, b),
		p.keepAddresses(ctx, roles, s, b),
		p.keepStock(ctx, roles, generations, s),
		p.sweepMoves(ctx, s, b),
		p.nameForPeople(ctx, s, b),
		p.tidyKeys(ctx, s),
		p.tidyTemplates(ctx, s, generations, b),
	)
}

// budget is how many calls that change something one Keep has left.
type budget struct{ left int }

// budgetOf leaves a farm of a thousand machines within twelve calls a tick: it makes up to seven where nothing is to be changed. A small
// farm's volumes need not wait for that.
func budgetOf(machines int) *budget {
	if machines <= 200 {
		return &budget{20}
	}
	return &budget{4}
}

func (b *budget) take() bool {
	b.left--
	return b.left >= 0
}

// turned begins somewhere else at each turn, so that what fails again and again does not keep the rest from being done.
func turned[T any](all []T, turn int) []T {
	if len(all) == 0 {
		return nil
	}
	at := turn * 7 % len(all)
	return append(all[at:len(all):len(all)], all[:at]...)
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
