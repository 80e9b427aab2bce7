package mysql

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"text/template"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
)

//go:embed my.cnf.tmpl
var configuration string

var configTemplate = template.Must(template.New("my.cnf").Parse(configuration))

// paths are where the server keeps its things.
type paths struct {
	DataDir string // on the volume
	RunDir  string
	Socket  string
}

type settings struct {
	paths
	Instance, Farm string
	Port           int
	BufferPoolMB   int
	MaxConnections int
}

// render makes the configuration. It follows from the role's settings alone.
func render(in behavior.Instance, p paths) ([]byte, error) {
	role := in.Assignment.Role
	t := Behavior{}.Traits()
	s := settings{
		paths:          p,
		Instance:       role.Name + "-" + strconv.Itoa(in.Assignment.Index),
		Farm:           in.Assignment.Farm,
		Port:           t.Port,
		BufferPoolMB:   bufferPoolMB(t.Int(role, "memory_mb")),
		MaxConnections: t.Int(role, "max_connections"),
	}
	var b strings.Builder
	if err := configTemplate.Execute(&b, s); err != nil {
		return nil, fmt.Errorf("rendering MariaDB's configuration: %w", err)
	}
	return []byte(b.String()), nil
}

// bufferPoolMB is what of the server's memory goes to InnoDB's pages, in MB: all but 80 MB (an idle server takes 50,
// its clients' buffers the rest), and at most three quarters, for many clients come with much memory. 16 is the
// least that was seen to work well; below 8 the server does not start.
func bufferPoolMB(memoryMB int) int {
	return max(16, min(memoryMB-80, memoryMB*3/4))
}
