package gateway

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// Policy says what an instance may touch. It is asked at every request, after the token was found to be right.
type Policy func(ctx context.Context, s store.Store, farm, instance string) (Rights, error)

// Rights are what one request may touch; what is not listed is denied.
type Rights struct {
	Everything bool
	Read       []string // keys, to get, list and watch, each by its whole name
	Write      []string // keys, to put; never to delete
	Blobs      []string // names, to read
}

func (r Rights) mayRead(key string) bool  { return r.Everything || slices.Contains(r.Read, key) }
func (r Rights) mayWrite(key string) bool { return r.Everything || slices.Contains(r.Write, key) }
func (r Rights) mayOpen(blob string) bool { return r.Everything || slices.Contains(r.Blobs, blob) }

// AgentPolicy is an agent's: it reads the topology, its assignment, where the farm's servers listen, the secrets of
// its own role and of the roles that this one uses, what its role's database servers are to be, and its application's
// release; it writes its own report.
// Its role and application are what its assignment says, which the sidecar alone writes.
func AgentPolicy(ctx context.Context, s store.Store, farm, instance string) (Rights, error) {
	r := Rights{
		Read:  []string{state.TopologyKey(farm), state.AssignmentKey(farm, instance), state.RuntimeKey(farm)},
		Write: []string{state.ReportKey(farm, instance)},
	}
	a, _, err := store.GetJSON[state.Assignment](ctx, s, state.AssignmentKey(farm, instance))
	if errors.Is(err, store.ErrNotFound) {
		return r, nil // not assigned yet: nothing secret is its business
	}
	if err != nil {
		return Rights{}, err
	}
	r.Read = append(r.Read, state.SecretKey(farm, a.Role.Name), state.DatabaseKey(farm, a.Role.Name))
	for _, id := range a.Role.Uses {
		if role, ok := strings.CutPrefix(id, farm+"/"); ok && role != "" {
			r.Read = append(r.Read, state.SecretKey(farm, role))
		}
	}
	if a.Application != nil {
		r.Blobs = append(r.Blobs, a.Application.Release)
	}
	return r, nil
}

// Unrestricted lets every instance that has a token touch everything. For tests of the transport.
func Unrestricted(context.Context, store.Store, string, string) (Rights, error) {
	return Rights{Everything: true}, nil
}
