package simulated

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// bootJitter is how far boot times lie from the declared one, as a share of it. Servers that are launched together
// never come up together, and code that relies on it should be found out here.
const bootJitter = 0.2

// machine is the record of a virtual machine. Key: machineKey(farm, ID).
type machine struct {
	ID         string    `json:"id"`
	Farm       string    `json:"farm"`
	Role       string    `json:"role"`
	Instance   string    `json:"instance"`
	Token      string    `json:"token"`
	Generation string    `json:"generation"`
	Address    string    `json:"address"`
	Launched   time.Time `json:"launched"`
	ServesAt   time.Time `json:"serves_at"` // when its boot is done
	// FailsAt is when its boot fails; zero if it does not.
	FailsAt time.Time `json:"fails_at,omitzero"`
	Exit    string    `json:"exit,omitempty"` // set: it is stopped, and this is why
	Hung    bool      `json:"hung,omitempty"` // its agent says nothing more
	Sick    time.Time `json:"sick,omitzero"`  // since when its health check fails
}

func machinePrefix(farm string) string  { return farm + "/simulated/machine/" }
func machineKey(farm, id string) string { return machinePrefix(farm) + id }

// newMachine draws boot time and fate from the farm's seed and the token: the same launch fares the same.
func newMachine(farm spec.Farm, l platform.Launch, now time.Time) machine {
	sim := farm.Simulated
	sum := sha256.Sum256([]byte(l.Farm + "/" + l.Token))
	jitter := 1 + bootJitter*(2*draw(sim.Seed, l.Token, "boot")-1)
	boot := time.Duration(float64(sim.BootTime.Std()) * jitter)
	m := machine{
		ID: "sim-" + hex.EncodeToString(sum[:6]), Farm: l.Farm, Role: l.Role, Instance: l.Instance, Token: l.Token,
		Generation: l.Generation, Address: l.Address, Launched: now, ServesAt: now.Add(boot),
	}
	if draw(sim.Seed, l.Token, "fate") < sim.FailLaunches {
		m.FailsAt = now.Add(boot * 6 / 10) // in the boot script, see steps
	}
	return m
}

// draw is a number in [0,1) that depends on its arguments only.
func draw(seed int64, token, what string) float64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d/%s/%s", seed, token, what))
	return float64(binary.BigEndian.Uint64(sum[:8])>>11) / (1 << 53)
}

// listed is what the platform says of the machine.
func (m machine) listed() platform.Machine {
	p := platform.Machine{
		ID: m.ID, Farm: m.Farm, Role: m.Role, Instance: m.Instance, Token: m.Token, Generation: m.Generation,
		Status: platform.Up, Address: m.Address, Launched: m.Launched,
	}
	if m.Exit != "" {
		p.Status, p.Exit = platform.Stopped, m.Exit
	}
	return p
}

// steps of a boot, each with the share of the boot time at which it ends.
var steps = []struct {
	name string
	ends float64
}{
	{"packages", 0.4},
	{"configure", 0.5},
	{"boot script", 0.8},
	{"health check", 1},
}

// stepServing is the boot step of a machine that is up.
const stepServing = "serving"

// boot is how far the machine has come.
func (m machine) boot(now time.Time) state.Boot {
	if !m.FailsAt.IsZero() && !now.Before(m.FailsAt) {
		b := m.progress(m.FailsAt)
		b.Failed = "exit status 3"
		b.Log = append(b.Log, "simulated: this launch was drawn to fail (fail_launches)", "simulated: exit status 3")
		return b
	}
	return m.progress(now)
}

func (m machine) progress(now time.Time) state.Boot {
	b := state.Boot{Step: stepServing, Done: true}
	total := m.ServesAt.Sub(m.Launched)
	for _, s := range steps {
		b.Log = append(b.Log, "simulated: "+s.name)
		if now.Before(m.Launched.Add(time.Duration(s.ends * float64(total)))) {
			b.Step, b.Done = s.name, false
			return b
		}
	}
	return b
}

// serves tells whether the machine takes its share of the load.
func (m machine) serves(now time.Time) bool {
	if m.Exit != "" || m.Hung || !m.Sick.IsZero() {
		return false
	}
	b := m.boot(now)
	return b.Done && b.Failed == ""
}

// machines lists the farm's records.
func machines(ctx context.Context, s store.Store, farm string) ([]store.Item[machine], error) {
	items, err := store.ListJSON[machine](ctx, s, machinePrefix(farm))
	return items, unavailable("listing the machines of farm "+farm, err)
}

// record writes a new machine, or returns the one that an earlier launch of the token wrote.
func (s *Simulated) record(ctx context.Context, m machine) (machine, error) {
	key := machineKey(m.Farm, m.ID)
	_, err := store.PutJSON(ctx, s.store, key, m, store.If(store.Absent()))
	if err == nil {
		return m, nil
	}
	if !errors.Is(err, store.ErrConflict) {
		return m, unavailable("recording it", err)
	}
	old, _, err := store.GetJSON[machine](ctx, s.store, key)
	return old, unavailable("reading its record", err)
}
