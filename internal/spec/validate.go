package spec

import (
	"fmt"
	"math"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Limits of what is declared, with their sources.
const (
	maxLabel = 63  // RFC 1035: a label of a DNS name
	maxName  = 253 // RFC 1035, in its textual form without the final dot
	// maxRoleName leaves room for "-1000" within a label: an instance's name is one.
	maxRoleName = maxLabel - len("-1000")
	// MaxServers of one role. Beyond it, farms are split; the number stops a slip of the keyboard from costing a fortune.
	MaxServers = 1000

	minTick = Duration(200 * time.Millisecond) // faster than this, listing the platform takes longer than the tick
	maxTick = Duration(5 * time.Minute)        // slower than this, healing is by hand
	maxTTL  = Duration(24 * time.Hour)
	maxWait = Duration(24 * time.Hour) // of a drain, a grace, a cooldown, a launch: longer is a mistake in the unit
)

var (
	label       = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	recordLabel = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]*[a-z0-9])?$`) // underscores are usual in records, not in host names
	variable    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	sha256hex   = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Validate checks everything that the farm's own declaration can show, after SetDefaults. Empty: it is sound.
func (f Farm) Validate() []Problem {
	var c checker
	c.label("name", f.Name, maxLabel)
	c.zone("zone", f.Zone)
	if f.Tick < minTick || f.Tick > maxTick {
		c.wrong("tick", fmt.Sprintf("%s is not between %s and %s", f.Tick, minTick, maxTick), "Leave it out for the default of "+DefaultTick.String())
	}
	switch platforms := f.platforms(); {
	case len(platforms) > 1:
		c.wrong(platforms[1], strings.Join(platforms, " and ")+" are both set", "A farm runs on one platform: keep one of them")
	case len(platforms) == 0:
		c.wrong("docker", "no platform is set", `Write docker = { subnet = "10.99.0.0/24" }, aws = { ... } for instances on EC2, or simulated = {} for a farm of virtual instances`)
	case f.AWS != nil:
		f.AWS.validate(&c, f.Name)
	case f.Docker != nil:
		c.subnet("docker.subnet", f.Docker.Subnet)
		if strings.TrimSpace(f.Docker.Image) != f.Docker.Image || f.Docker.Image == "" {
			c.wrong("docker.image", fmt.Sprintf("%q is not the name of an image", f.Docker.Image), "Leave it out for "+DefaultImage)
		}
	default:
		c.subnet("simulated.subnet", f.Simulated.Subnet)
		if f.Simulated.BootTime > maxWait {
			c.wrong("simulated.boot_time", f.Simulated.BootTime.String()+" is more than a day", "Write it with its unit, as in \"5s\"")
		}
		if s := f.Simulated.FailLaunches; !(s >= 0 && s <= 1) {
			c.wrong("simulated.fail_launches", fmt.Sprintf("%v is not a share from 0 to 1", s), "Write 0.2 for one launch in five")
		}
	}
	return c.problems
}

// Validate checks everything that the role's own declaration can show, after SetDefaults. Whether its behavior exists
// and takes its settings, whether its application and the roles it uses are there, and whether its farm has room
// (see Farm.ValidateRoom) are for those who can know.
func (r Role) Validate() []Problem {
	var c checker
	c.label("farm", r.Farm, maxLabel)
	c.label("name", r.Name, maxRoleName)
	c.label("behavior", r.Behavior, maxLabel)
	r.validateEnvelope(&c)
	c.environment(r.Environment, r.Secrets)
	c.uses(r)
	r.HealthCheck.validate(&c)
	if r.Volume != nil {
		r.Volume.validate(&c)
	}
	c.wait("drain", r.Drain)
	c.positive("launch_timeout", r.LaunchTimeout, DefaultLaunchTimeout)
	if !slices.Contains(ScaleInOrders, r.ScaleIn) {
		c.wrong("scale_in", fmt.Sprintf("%q is no order of victims", r.ScaleIn), `Write "newest", "oldest", "least_busy" or "closest_to_hour"`)
	}
	c.positive("shutdown_hook_timeout", r.ShutdownHookTimeout, DefaultShutdownHookTimeout)
	if strings.Contains(r.ShutdownHook, "\x00") {
		c.wrong("shutdown_hook", "a zero byte is in it", "It is a script, as text")
	}
	if r.ShutdownHook != "" && strings.TrimSpace(r.ShutdownHook) == "" {
		c.wrong("shutdown_hook", "there is nothing in it but blanks", "Leave it out if servers may leave at any time")
	}
	r.validateReversals(&c)
	if r.AWS != nil {
		r.AWS.validate(&c)
	}
	if r.MySQLProxy != nil {
		r.MySQLProxy.validate(&c, r.Uses)
	}
	if r.Backup != nil {
		c.problems = append(c.problems, r.Backup.Validate()...)
	}
	return c.problems
}

func (r Role) validateEnvelope(c *checker) {
	for _, bound := range []struct {
		attribute string
		n         int
	}{{"min", r.Min}, {"max", r.Max}} {
		if bound.n < 0 {
			c.wrong(bound.attribute, fmt.Sprintf("%d is negative", bound.n), "The least is 0: no server at all")
		}
		if bound.n > MaxServers {
			c.wrong(bound.attribute, fmt.Sprintf("%d servers are more than the %d that one role may have", bound.n, MaxServers), "Split the role if that is meant")
		}
	}
	if r.Min > r.Max {
		c.wrong("min", fmt.Sprintf("min %d is greater than max %d", r.Min, r.Max), "Lower min or raise max")
	}
}

func (h HealthCheck) validate(c *checker) {
	const at = "health_check."
	if h.HTTP != nil {
		c.port(at+"http.port", h.HTTP.Port)
		if !strings.HasPrefix(h.HTTP.Path, "/") || strings.ContainsAny(h.HTTP.Path, " \t\r\n") {
			c.wrong(at+"http.path", fmt.Sprintf("%q is not the path of a page", h.HTTP.Path), `It begins with a slash and holds no blanks, as in "/healthz"`)
		}
	}
	if h.TCP != nil {
		c.port(at+"tcp.port", h.TCP.Port)
	}
	c.positive(at+"interval", h.Interval, DefaultCheckInterval)
	c.positive(at+"timeout", h.Timeout, DefaultCheckTimeout)
	if h.Timeout > h.Interval {
		c.wrong(at+"timeout", fmt.Sprintf("timeout %s is longer than interval %s: a check would still run when the next begins", h.Timeout, h.Interval), "Lower the timeout or raise the interval")
	}
	if h.UnhealthyAfter < 1 {
		c.wrong(at+"unhealthy_after", fmt.Sprintf("%d failures in a row cannot be counted", h.UnhealthyAfter), "The least is 1; 2 or more forgives an accident")
	}
	if h.UnhealthyAfter > 100 {
		c.wrong(at+"unhealthy_after", fmt.Sprintf("%d failures in a row would take %s", h.UnhealthyAfter, Duration(h.Interval.Std()*time.Duration(h.UnhealthyAfter))), "100 is the most")
	}
	c.wait(at+"grace", h.Grace)
	if h.SilentAfter < minSilence {
		c.wrong(at+"silent_after", fmt.Sprintf("%s is less than two of the agent's reports, which come every two seconds", h.SilentAfter), "Raise it to "+minSilence.String()+" or more")
	}
	if h.SilentAfter > maxWait {
		c.wrong(at+"silent_after", h.SilentAfter.String()+" is more than a day", "A server that died would stay for so long")
	}
}

// minSilence forgives one lost report of an agent that reports every two seconds.
const minSilence = Duration(5 * time.Second)

// forbiddenMounts hide what the instance itself needs.
var forbiddenMounts = []string{"/", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/tmp", "/usr"}

func (v Volume) validate(c *checker) {
	v.validateDisk(c)
	const at = "volume.path"
	if v.Path != "" { // else the behavior's own
		switch {
		case !path.IsAbs(v.Path):
			c.wrong(at, fmt.Sprintf("%q is not an absolute path", v.Path), `Write it from the root on, as in "/var/lib/mysql"`)
		case path.Clean(v.Path) != v.Path:
			c.wrong(at, fmt.Sprintf("%q is not the plain form of a path", v.Path), "Write "+path.Clean(v.Path))
		case strings.ContainsAny(v.Path, ":,\n"):
			c.wrong(at, fmt.Sprintf("%q holds a colon, a comma or a line break, which mounts cannot take", v.Path), "Choose another folder")
		default:
			for _, f := range forbiddenMounts {
				if v.Path == f || v.Path == "/etc/farmhand" {
					c.wrong(at, fmt.Sprintf("a volume at %q would hide what the instance itself needs", v.Path), `Choose a folder of its own, as in "/srv/data"`)
					break
				}
			}
		}
	}
	if v.OnDestroy != OnDestroyDelete && v.OnDestroy != OnDestroyKeep {
		c.wrong("volume.on_destroy", fmt.Sprintf("%q says not what becomes of the data", v.OnDestroy), `Write "delete" or "keep"`)
	}
}

// Validate checks everything that the application's own declaration can show.
func (a Application) Validate() []Problem {
	var c checker
	c.label("name", a.Name, maxLabel)
	if a.Release != "" && !sha256hex.MatchString(a.Release) {
		c.wrong("release", fmt.Sprintf("%q is not the name of a release", a.Release), "A release is named by the SHA-256 of its bytes, in hex")
	}
	if a.DocumentRoot != "" && (path.IsAbs(a.DocumentRoot) || path.Clean(a.DocumentRoot) != a.DocumentRoot || strings.HasPrefix(a.DocumentRoot, "..")) {
		c.wrong("document_root", fmt.Sprintf("%q is not a folder inside the application", a.DocumentRoot), `Write it without a slash in front and without "..", as in "public"`)
	}
	return c.problems
}

// checker gathers problems; each method names the attribute it is about.
type checker struct{ problems []Problem }

func (c *checker) wrong(attribute, summary, advice string) {
	c.problems = append(c.problems, Problem{Attribute: attribute, Summary: summary, Advice: advice})
}

func (c *checker) warn(attribute, summary, advice string) {
	c.problems = append(c.problems, Problem{Attribute: attribute, Summary: summary, Advice: advice, Warning: true})
}

func (c *checker) label(attribute, s string, longest int) {
	switch {
	case s == "":
		c.wrong(attribute, "is empty", "Write a name of lower-case letters, digits and hyphens")
	case len(s) > longest:
		c.wrong(attribute, fmt.Sprintf("%q has %d characters, %d are the most", s, len(s), longest), "It becomes part of host names: shorten it")
	case !label.MatchString(s):
		c.wrong(attribute, fmt.Sprintf("%q cannot be part of a host name", s), "Use lower-case letters, digits and hyphens, with a letter or digit at both ends")
	}
}

func (c *checker) zone(attribute, s string) {
	switch labels := strings.Split(s, "."); {
	case s == "":
		c.wrong(attribute, "is empty", `Write a DNS zone for the farm's own names, as in "shop.internal"`)
	case strings.HasSuffix(s, "."):
		c.wrong(attribute, fmt.Sprintf("%q ends in a dot", s), "Write it without: "+strings.TrimRight(s, "."))
	case len(labels) < 2:
		c.wrong(attribute, fmt.Sprintf("%q has one label only and would shadow a whole top-level domain", s), "Write at least two, as in "+s+".internal")
	case len(s) > maxName-2*maxLabel-2:
		c.wrong(attribute, fmt.Sprintf("%d characters leave no room for the names of instances in it", len(s)), "Shorten it")
	default:
		for _, l := range labels {
			if len(l) > maxLabel || !label.MatchString(l) {
				c.wrong(attribute, fmt.Sprintf("%q is not a DNS zone", s), `Use lower-case letters, digits and hyphens, labels parted by dots, as in "shop.internal"`)
				return
			}
		}
	}
}

// wait takes zero to a day.
func (c *checker) wait(attribute string, d Duration) {
	switch {
	case d < 0:
		c.wrong(attribute, d.String()+" is negative", `Write it as in "30s"; the least is "0s"`)
	case d > maxWait:
		c.wrong(attribute, d.String()+" is more than a day", `Check the unit: "30s" is thirty seconds`)
	}
}

// positive takes more than zero, to a day.
func (c *checker) positive(attribute string, d, usual Duration) {
	if d == 0 {
		c.wrong(attribute, "is zero", "Leave it out for the default of "+usual.String())
		return
	}
	c.wait(attribute, d)
}

func (c *checker) port(attribute string, port int) {
	if port < 0 || port > math.MaxUint16 { // 0: the behavior's
		c.wrong(attribute, fmt.Sprintf("%d is no port", port), "Ports go from 1 to 65535; leave it out for the behavior's own")
	}
}

func (c *checker) environment(plain map[string]string, secrets []string) {
	for _, name := range sortedKeys(plain) {
		if !variable.MatchString(name) {
			c.wrong(fmt.Sprintf("environment[%q]", name), fmt.Sprintf("%q cannot name an environment variable", name), "Use letters, digits and underscores, no digit in front")
		}
		if strings.ContainsRune(plain[name], 0) {
			c.wrong(fmt.Sprintf("environment[%q]", name), "holds a zero byte, which no environment can", "Encode it, as base64 does")
		}
	}
	for _, name := range secrets {
		if !variable.MatchString(name) {
			c.wrong(fmt.Sprintf("secrets[%q]", name), fmt.Sprintf("%q cannot name an environment variable", name), "Use letters, digits and underscores, no digit in front")
		}
		if _, twice := plain[name]; twice {
			c.wrong(fmt.Sprintf("secrets[%q]", name), name+" stands in environment as well", "Keep one of the two")
		}
	}
}

func (c *checker) uses(r Role) {
	seen := map[string]bool{}
	for i, id := range r.Uses {
		at := fmt.Sprintf("uses[%d]", i)
		farm, name, ok := strings.Cut(id, "/")
		switch {
		case !ok || !label.MatchString(farm) || !label.MatchString(name):
			c.wrong(at, fmt.Sprintf("%q is not the id of a role", id), `Write farmhand_role.NAME.id, which is "farm/role"`)
		case farm != r.Farm:
			c.wrong(at, fmt.Sprintf("role %s is of another farm", id), "Each farm has a network of its own: use a role of farm "+r.Farm)
		case name == r.Name:
			c.wrong(at, "a role cannot use itself", "Its own servers are in its topology already: remove this entry")
		case seen[id]:
			c.wrong(at, fmt.Sprintf("role %s is named twice", id), "Name it once")
		}
		seen[id] = true
	}
}
