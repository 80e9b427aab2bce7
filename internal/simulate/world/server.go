package world

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Server is a machine from the platform's call to its end. It is paid for all that time.
type Server struct {
	Serial   int // in order of launch; the same serial has the same luck under every pilot
	Launched time.Time
	Ready    time.Time // up from then on, unless Doomed
	Doomed   bool      // it will not come up: found out at Ready
	Crashed  bool
	// Serving: it takes its share of the demand. The pilot puts it into service once it is up, and out of it.
	Serving bool
	Since   time.Time // Serving last became true

	crash  time.Time // zero: never
	chance *rand.Rand
	load   [3]float64 // over 1, 5 and 15 minutes
	bears  float64    // demand, as last sampled
	// samples are the newest, oldest first; as many as somebody looks at.
	samples []state.Sample
}

// Up tells whether it has booted and lives.
func (s *Server) Up(now time.Time) bool { return !s.Crashed && !s.Doomed && !now.Before(s.Ready) }

// Failed tells that it did not come up or has crashed.
func (s *Server) Failed(now time.Time) bool { return s.Crashed || s.Doomed && !now.Before(s.Ready) }

// newServer draws its luck from its serial number.
func newServer(o *Options, serial int, now time.Time) *Server {
	s := &Server{Serial: serial, Launched: now, chance: rand.New(rand.NewPCG(o.Seed, uint64(serial)))}
	boot := float64(o.BootTime) * (1 + o.BootJitter*(2*s.chance.Float64()-1))
	s.Ready = now.Add(time.Duration(boot))
	s.Doomed = s.chance.Float64() < o.FailLaunches
	if o.MeanLife > 0 {
		s.crash = s.Ready.Add(time.Duration(s.chance.ExpFloat64() * float64(o.MeanLife)))
	}
	return s
}

// decay is by how much each load average keeps its former value over one sample's time (kernel/sched/loadavg.c).
var decay = [3]float64{
	math.Exp(-SampleEvery.Seconds() / 60), math.Exp(-SampleEvery.Seconds() / 300), math.Exp(-SampleEvery.Seconds() / 900),
}

// Keys under which an agent's samples carry what web servers count.
var (
	requestsKey = spec.Metric{Kind: spec.RequestsPerSecond}.Key()
	workersKey  = spec.Metric{Kind: spec.BusyWorkers}.Key()
)

// work lets it bear a share of the demand until at, and samples it. busy is the demand in units of what it can take;
// counted tells that somebody looks at its requests and workers too.
func (s *Server) work(o *Options, busy float64, at time.Time, keep int, counted bool) {
	tasks := busy * o.Cores
	for i := range s.load {
		s.load[i] = s.load[i]*decay[i] + tasks*(1-decay[i])
	}
	noise := 1.0
	if o.Noise > 0 {
		noise = max(0, 1+o.Noise*s.chance.NormFloat64())
	}
	if len(s.samples) == cap(s.samples) && len(s.samples) >= keep && keep > 0 {
		s.samples = s.samples[:copy(s.samples, s.samples[len(s.samples)-keep+1:])]
	}
	sample := state.Sample{
		At: at, Load1: s.load[0] * noise, Load5: s.load[1] * noise, Load15: s.load[2] * noise, CPU: min(1, min(1, busy)*noise),
	}
	s.bears = busy * o.Capacity * noise
	if counted {
		sample.Values = map[string]float64{requestsKey: s.bears, workersKey: sample.CPU}
	}
	s.samples = append(s.samples, sample)
}

// settle makes it a server that has borne its share for long.
func (s *Server) settle(o *Options, busy float64) {
	for i := range s.load {
		s.load[i] = busy * o.Cores
	}
}
