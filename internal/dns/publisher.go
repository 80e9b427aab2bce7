package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Publisher puts one owner's records where resolvers find them, beside whatever others have there. Implementations
// pass dnstest. Publish is called by one goroutine at a time; several publishers, of one owner or of several, may work
// on the same zone at the same time.
type Publisher interface {
	// Publish makes want, by full names, what stands under this owner. former is what this owner may have published
	// before: its names, with what is known of their addresses. A name of former that want lacks is withdrawn; a
	// record of want without addresses keeps its name for the owner and resolves to nothing.
	//
	// It returns what it changed, nil if all was so already. A name that another holds is left as it is and is a
	// *ConflictError within the error; the other names are published all the same. After any other error what was
	// changed may be more than what is returned: publish again.
	Publish(ctx context.Context, former, want []Record) ([]Change, error)
}

// Change is what was done to one name. Old is empty for one that is new, New for one that is withdrawn.
type Change struct {
	Name     string
	Old, New []netip.Addr
	// Withdrawn: the name is no longer held by the owner.
	Withdrawn bool
}

// String is a change as a person reads it.
func (c Change) String() string {
	switch {
	case c.Withdrawn:
		return c.Name + " withdrawn"
	case len(c.New) == 0:
		return c.Name + " → nobody"
	}
	words := make([]string, len(c.New))
	for i, a := range c.New {
		words[i] = a.String()
	}
	return c.Name + " → " + strings.Join(words, " ")
}

// ConflictError is a name that cannot be published since another holds it.
type ConflictError struct {
	Name   string
	Holder string // who or what holds it, as a person reads it
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s is held by %s and is left as it is: choose another name, or remove what stands there", e.Name, e.Holder)
}

// Conflicts are those within an error.
func Conflicts(err error) []*ConflictError {
	switch e := err.(type) { //nolint:errorlint // the tree is walked by hand: errors.As stops at the first
	case nil:
		return nil
	case *ConflictError:
		return []*ConflictError{e}
	case interface{ Unwrap() []error }:
		var all []*ConflictError
		for _, one := range e.Unwrap() {
			all = append(all, Conflicts(one)...)
		}
		return all
	}
	return Conflicts(errors.Unwrap(err))
}

// Full are the zone's records by their full names.
func (z Zone) Full() []Record {
	full := slices.Clone(z.Records)
	for i := range full {
		full[i].Name += "." + z.Name
	}
	return full
}

// Equal tells whether two records say the same; the order of addresses says nothing.
func (r Record) Equal(o Record) bool {
	return r.Name == o.Name && r.TTL == o.TTL && SameAddresses(r.Addresses, o.Addresses)
}

// SameAddresses compares sets.
func SameAddresses(a, b []netip.Addr) bool {
	return slices.Equal(Sorted(a), Sorted(b))
}

// Sorted are the addresses in their own order, each once.
func Sorted(a []netip.Addr) []netip.Addr {
	s := slices.Clone(a)
	slices.SortFunc(s, netip.Addr.Compare)
	return slices.Compact(s)
}

// Within tells whether a full name lies in a zone, its apex included.
func Within(name, zone string) bool {
	name, zone = canonical(name), canonical(zone)
	return name == zone || strings.HasSuffix(name, "."+zone)
}
