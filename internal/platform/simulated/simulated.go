// Package simulated is a platform of virtual machines: boot times, a load model and faults, and no process.
package simulated

import (
	"context"
	"log/slog"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// Options says what one farm's simulated platform works with.
type Options struct {
	Farm  spec.Farm // Farm.Simulated must be set
	Store store.Store
	Log   *slog.Logger     // nil: slog.Default
	Now   func() time.Time // nil: time.Now
}

// Simulated is the platform of one farm. Safe for concurrent use.
type Simulated struct {
	platform.Platform
	opts Options
}

// New prepares the platform. Open starts its one goroutine, Close stops it.
func New(o Options) (*Simulated, error) { return &Simulated{opts: o}, nil }

// Kill stops a machine as a crash would: it stays listed as stopped and says nothing more.
func Kill(ctx context.Context, s store.Store, farm, instance string) error { return nil }

// Hang makes a machine's agent fall silent while the machine stays up.
func Hang(ctx context.Context, s store.Store, farm, instance string) error { return nil }

// Sicken makes a machine's health check fail while its agent goes on reporting.
func Sicken(ctx context.Context, s store.Store, farm, instance string) error { return nil }

// SetDemand puts a load on a role, in the unit of load average: 6 over 3 servers is 2 on each.
func SetDemand(ctx context.Context, s store.Store, farm, role string, load float64) error { return nil }
