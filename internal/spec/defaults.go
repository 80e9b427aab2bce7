package spec

import "time"

// Defaults, each with its reason. A zero value takes the default; where zero is a wish of its own (min, an index),
// there is none.
const (
	// DefaultTick: a pass over a farm costs milliseconds, and what is urgent (a machine that died) wakes the sidecar
	// at once anyway; two seconds is the agents' own rhythm, so that no tick sees nothing new.
	DefaultTick = Duration(2 * time.Second)
	// DefaultTickAWS is EC2's rhythm: nothing wakes the sidecar there, each look is a call that is counted, and a machine that
	// is gone is replaced within two ticks.
	DefaultTickAWS = Duration(5 * time.Second)
	// DefaultImage is Debian with the behaviors' packages, as scripts/base-image.sh builds it.
	DefaultImage = "farmhand-lamp:bookworm"

	// DefaultBootTime of a simulated instance: about what a container with its packages present takes.
	DefaultBootTime = Duration(5 * time.Second)
	// DefaultSimulatedSubnet: nobody is there, so any private range will do; it is large because tests of size use it.
	DefaultSimulatedSubnet = "10.200.0.0/16"

	// DefaultCheckInterval: a check on the instance itself is cheap.
	DefaultCheckInterval = Duration(2 * time.Second)
	// DefaultCheckTimeout bounds one check, and never exceeds its interval.
	DefaultCheckTimeout = Duration(2 * time.Second)
	// DefaultUnhealthyAfter: one failure is an accident, two a coincidence.
	DefaultUnhealthyAfter = 3
	// DefaultGrace: caches are cold and connections open late in the first half minute of serving.
	DefaultGrace = Duration(30 * time.Second)
	// DefaultSilentAfter is five of the agent's reports: a lost one, a slow disk and a long collection of garbage
	// together do not make a server dead.
	DefaultSilentAfter = Duration(10 * time.Second)

	// DefaultDrain: balancers follow the topology within a second; most requests of a web page end in ten.
	DefaultDrain = Duration(10 * time.Second)
	// DefaultLaunchTimeout: karpenter's launch limit, and enough to install Debian packages over a slow line.
	DefaultLaunchTimeout = Duration(5 * time.Minute)
	// DefaultOnDestroy: terraform destroy leaves nothing behind unless asked to; plan names the volumes that go.
	DefaultOnDestroy = OnDestroyDelete
	// DefaultScaleIn ends the newest first: the oldest have warm caches and have proven themselves.
	DefaultScaleIn = ScaleInNewest

	// DefaultShutdownHookTimeout: the longest jobs that queues of web farms usually hold end within it, and a hook that is
	// stuck holds a roll-out up no longer.
	DefaultShutdownHookTimeout = Duration(45 * time.Minute)

	// DefaultCooldown is the field's five minutes (Kubernetes' downscale window, Auto Scaling's default cooldown).
	DefaultCooldown = Duration(5 * time.Minute)
	// DefaultTolerance is Kubernetes': within ten per cent of the target nothing is worth the movement.
	DefaultTolerance = 0.1
	// DefaultLoadMinutes: the fastest of the three load averages; the engine does its own smoothing.
	DefaultLoadMinutes = 1
	// DefaultWindow holds three or four of the agent's samples (two seconds apart): enough that one noisy sample never decides,
	// short enough that a step in load is answered within ten seconds.
	DefaultWindow = Duration(7 * time.Second)

	// DefaultTTL of a DNS record: resolvers inside the farm answer from memory, so a short life costs nothing.
	DefaultTTL = Duration(5 * time.Second)
)

// Values of Volume.OnDestroy and Role.ScaleIn.
const (
	OnDestroyDelete = "delete"
	OnDestroyKeep   = "keep"
	ScaleInNewest   = "newest"
	ScaleInOldest   = "oldest"
	// ScaleInLeastBusy ends the one with the least load, ScaleInClosestToHour the one whose paid hour is nearest its end.
	ScaleInLeastBusy     = "least_busy"
	ScaleInClosestToHour = "closest_to_hour"
)

// SetDefaults fills in what was left out. The platform's part is filled in only where that platform is set.
func (f *Farm) SetDefaults() {
	if f.AWS != nil {
		orDefault(&f.Tick, DefaultTickAWS)
	}
	orDefault(&f.Tick, DefaultTick)
	if f.Docker != nil {
		orDefault(&f.Docker.Image, DefaultImage)
	}
	if f.Simulated != nil {
		orDefault(&f.Simulated.BootTime, DefaultBootTime)
		orDefault(&f.Simulated.Subnet, DefaultSimulatedSubnet)
	}
}

// SetDefaults fills in what was left out. Min and Max have no default: zero servers is a wish. A volume's path and a
// check's port are the behavior's to fill in.
func (r *Role) SetDefaults() {
	h := &r.HealthCheck
	orDefault(&h.Interval, DefaultCheckInterval)
	orDefault(&h.Timeout, min(DefaultCheckTimeout, h.Interval))
	orDefault(&h.UnhealthyAfter, DefaultUnhealthyAfter)
	orDefault(&h.Grace, DefaultGrace)
	orDefault(&h.SilentAfter, DefaultSilentAfter)
	orDefault(&r.Drain, DefaultDrain)
	orDefault(&r.LaunchTimeout, DefaultLaunchTimeout)
	orDefault(&r.ScaleIn, DefaultScaleIn)
	orDefault(&r.ShutdownHookTimeout, DefaultShutdownHookTimeout)
	orDefault(&r.ReversalsPerHour, DefaultReversals)
	if r.Volume != nil {
		orDefault(&r.Volume.OnDestroy, DefaultOnDestroy)
	}
	if r.Backup != nil {
		r.Backup.SetDefaults()
	}
}

// SetDefaults fills in what was left out. The name's default, the metric's kind or "schedule", may be taken in the
// role; whoever writes the policy to a store sees that.
func (p *Policy) SetDefaults() {
	if m := p.Metric; m != nil {
		if p.Queue != nil && m.Origin() != OnServer {
			orDefault(&m.Per, PerRole) // the policy itself divides
		}
		if p.Threshold != nil {
			orDefault(&m.Window, p.Threshold.Period)
		}
		m.setDefaults()
		if p.Threshold != nil {
			p.Threshold.setDefaults(m)
			orDefault(&p.Cooldown, p.Threshold.BreachDuration)
		}
		orDefault(&p.Cooldown, DefaultCooldown)
	}
	if p.Target != nil || p.Queue != nil {
		orDefault(&p.Tolerance, DefaultTolerance)
	}
	if p.Forecast != nil {
		orDefault(&p.Forecast.Zone, DefaultForecastZone)
	}
	orDefault(&p.Name, p.DefaultName())
}

// DefaultName is "schedule", "forecast" or the metric's kind.
func (p Policy) DefaultName() string {
	if p.Forecast != nil {
		return KindForecast // a policy of its metric usually stands beside it
	}
	if p.Schedule != nil || p.Metric == nil {
		return "schedule"
	}
	return p.Metric.Kind
}

// SetDefaults fills in what was left out.
func (d *DNSRecord) SetDefaults() {
	orDefault(&d.PointsTo, PointsToAll)
	orDefault(&d.TTL, DefaultTTL)
	if d.RFC2136 != nil {
		orDefault(&d.RFC2136.KeyAlgorithm, TSIGAlgorithms[0])
	}
	if d.Webhook != nil {
		orDefault(&d.Webhook.Method, WebhookMethods[0])
	}
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
