package world

import (
	"fmt"
	"math"
	"time"
)

// Options are how the world is. What is zero takes the default that is named here.
type Options struct {
	Tick time.Duration // between two decisions; 10s. A whole multiple of the agents' two seconds
	// BootTime from the platform's call to serving, 90s: a small EC2 instance with its packages in the image.
	BootTime time.Duration
	// BootJitter is how far a boot strays from BootTime, as a share of it: 0.1 is from 10 % less to 10 % more.
	BootJitter float64
	// Cores of each server, 2: a server that is just busy all the time has a load average of so many.
	Cores float64
	// Capacity is the demand that one server takes when it is just busy all the time, in the trace's unit. Its CPU is
	// then at 100 % and its load average at Cores; at twice that demand the CPU stays and the load average doubles.
	// Default: Cores, so that demand is counted in load average: 6 over 3 servers is a load average of 2 on each.
	Capacity float64
	// Noise is the standard deviation of each sample of each server, as a share of its value.
	Noise float64
	// MeanLife is how long a server lives on average before it crashes; 0: for ever.
	MeanLife time.Duration
	// FailLaunches is the share of launches that do not come up, 0 to 1.
	FailLaunches float64
	Seed         uint64
}

// SampleEvery is the rhythm in which agents measure.
const SampleEvery = 2 * time.Second

// SetDefaults fills in what was left out.
func (o *Options) SetDefaults() {
	if o.Tick == 0 {
		o.Tick = 10 * time.Second
	}
	if o.BootTime == 0 {
		o.BootTime = 90 * time.Second
	}
	if o.Cores == 0 {
		o.Cores = 2
	}
	if o.Capacity == 0 {
		o.Capacity = o.Cores
	}
}

// Validate tells what is wrong with o, after SetDefaults.
func (o Options) Validate() error {
	const longest = 24 * time.Hour
	switch {
	case o.Tick < SampleEvery || o.Tick > 5*time.Minute || o.Tick%SampleEvery != 0:
		return fmt.Errorf("tick %s: write a multiple of %s, up to 5m", o.Tick, SampleEvery)
	case o.BootTime < 0 || o.BootTime > longest:
		return fmt.Errorf("boot time %s: from 0s to 24h", o.BootTime)
	case !(o.BootJitter >= 0 && o.BootJitter <= 1):
		return fmt.Errorf("boot jitter %v: a share from 0 to 1", o.BootJitter)
	case !(o.Cores > 0) || math.IsInf(o.Cores, 0):
		return fmt.Errorf("%v cores: a number above 0", o.Cores)
	case !(o.Capacity > 0) || math.IsInf(o.Capacity, 0):
		return fmt.Errorf("capacity %v: the demand that one server takes, a number above 0", o.Capacity)
	case !(o.Noise >= 0 && o.Noise <= 1):
		return fmt.Errorf("noise %v: a share from 0 to 1", o.Noise)
	case o.MeanLife < 0 || o.MeanLife > 0 && o.MeanLife < time.Minute:
		return fmt.Errorf("mean life %s: 1m or more, or 0 for servers that never crash", o.MeanLife)
	case !(o.FailLaunches >= 0 && o.FailLaunches <= 1):
		return fmt.Errorf("failing launches %v: a share from 0 to 1", o.FailLaunches)
	}
	return nil
}
