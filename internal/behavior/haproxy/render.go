package haproxy

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
)

//go:embed haproxy.cfg.tmpl
var configuration string

var configTemplate = template.Must(template.New("haproxy.cfg").Parse(configuration))

// settings is what the template is filled from.
type settings struct {
	Instance, Farm string
	Socket         string // of the runtime API
	Version        string // hash of the rest, see render
	MaxConnections int
	Balance        string
	ServerTimeout  string
	// ServerConnections at once to each server, 0 for any number; more wait here for queue_depth to count.
	ServerConnections int
	LogRequests       string // address, "" for none
	RequestLog        string
	// Pools are the servers by health path, in the order of the roles used. One pool is checked where it is used;
	// with several, haproxy checks each in a backend of its own, for a backend asks one path only.
	Pools []pool
}

type pool struct {
	Name    string // of its backend when there are several
	Path    string
	Servers []server
}

type server struct {
	Name, Address string
}

// render makes the configuration. The same input gives the same bytes. version is in it, so that haproxy can be
// asked whether it is the one in force.
func render(in behavior.Instance, input behavior.Input, socket string) (config []byte, version string, err error) {
	role := in.Assignment.Role
	t := Behavior{}.Traits()
	s := settings{
		Instance:       role.Name + "-" + strconv.Itoa(in.Assignment.Index),
		Farm:           in.Assignment.Farm,
		Socket:         socket,
		MaxConnections: t.Int(role, "max_connections"),
		Balance:        t.Value(role, "balance"),
		ServerTimeout:  t.Value(role, "server_timeout"),

		ServerConnections: t.Int(role, "server_connections"),
		LogRequests:       input.LogRequests,
		RequestLog:        behavior.RequestLog,
	}
	if s.Pools, err = pools(in, input); err != nil {
		return nil, "", err
	}
	// Twice: once without a version to make one, once with it.
	text, err := execute(s)
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(text)
	s.Version = hex.EncodeToString(sum[:8])
	text, err = execute(s)
	return text, s.Version, err
}

func execute(s settings) ([]byte, error) {
	var b strings.Builder
	if err := configTemplate.Execute(&b, s); err != nil {
		return nil, fmt.Errorf("rendering haproxy's configuration: %w", err)
	}
	return []byte(b.String()), nil
}

// What may stand in the configuration unquoted. Names and addresses come from the farm's own records, so anything
// else is a fault, and a line break would be a second directive.
var (
	word = regexp.MustCompile(`^[A-Za-z0-9_.:-]+$`)
	path = regexp.MustCompile(`^/[A-Za-z0-9_.~/?=&%+,;:@!*()-]*$`)
)

// pools are the serving members of the roles used that speak HTTP.
func pools(in behavior.Instance, input behavior.Input) ([]pool, error) {
	var found []pool
	for _, id := range input.Uses {
		name := id[strings.LastIndexByte(id, '/')+1:]
		role, ok := input.Topology.Roles[name]
		if !ok {
			continue // declared, and none of it serves yet
		}
		traits, ok := in.Traits(role.Behavior)
		if !ok || !traits.HTTP {
			continue
		}
		check := role.HealthPath
		if check == "" {
			check = "/"
		}
		if !path.MatchString(check) {
			return nil, fmt.Errorf("the health check's path of role %s, %q, cannot stand in haproxy's configuration. Leave out blanks and quotes", name, check)
		}
		i := slices.IndexFunc(found, func(p pool) bool { return p.Path == check })
		if i < 0 {
			i = len(found)
			found = append(found, pool{Name: "check-" + name, Path: check})
		}
		for _, m := range role.Instances {
			if !word.MatchString(m.Name) || !word.MatchString(m.Address) {
				return nil, fmt.Errorf("the topology names an instance %q at %q, which cannot stand in haproxy's configuration", m.Name, m.Address)
			}
			found[i].Servers = append(found[i].Servers, server{m.Name, fmt.Sprintf("%s:%d", m.Address, traits.Port)})
		}
	}
	return found, nil
}
