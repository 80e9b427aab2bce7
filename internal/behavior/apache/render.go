package apache

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
)

//go:embed apache2.conf.tmpl
var configuration string

var configTemplate = template.Must(template.New("apache2.conf").Parse(configuration))

type settings struct {
	Instance, Farm     string
	ServerRoot, RunDir string
	DocumentRoot       string // quoted
	MaxWorkers         int
	SpareWorkers       int
	MostSpareWorkers   int
	PHPMemoryMB        int
	UploadMB           int
	UploadBytes        int
	Environment        []variable
}

type variable struct {
	Name  string
	Value string // quoted
}

// render makes the configuration; the same input gives the same bytes.
func render(in behavior.Instance, input behavior.Input) ([]byte, error) {
	role := in.Assignment.Role
	t := Behavior{}.Traits()
	root, err := documentRoot(in, input)
	if err != nil {
		return nil, err
	}
	workers := t.Int(role, "max_workers")
	s := settings{
		Instance:   role.Name + "-" + strconv.Itoa(in.Assignment.Index),
		Farm:       in.Assignment.Farm,
		ServerRoot: filepath.Join(in.Root, "etc/apache2"),
		RunDir:     filepath.Join(in.Root, "run/farmhand"),
		MaxWorkers: workers,
		// Enough at rest for a page with its pictures; a fork on demand takes some milliseconds.
		SpareWorkers:     min(3, workers),
		MostSpareWorkers: min(max(workers/2, 4), max(workers, 4)),
		PHPMemoryMB:      t.Int(role, "php_memory_mb"),
		UploadMB:         t.Int(role, "upload_mb"),
		UploadBytes:      t.Int(role, "upload_mb") << 20,
	}
	if s.DocumentRoot, err = quote(root); err != nil {
		return nil, fmt.Errorf("the document root %q %w", root, err)
	}
	if s.Environment, err = environment(input.Environment); err != nil {
		return nil, err
	}
	var b strings.Builder
	if err := configTemplate.Execute(&b, s); err != nil {
		return nil, fmt.Errorf("rendering Apache's configuration: %w", err)
	}
	return []byte(b.String()), nil
}

// documentRoot is the folder of the application that is served, or Debian's own page without one.
func documentRoot(in behavior.Instance, input behavior.Input) (string, error) {
	if input.ReleaseDir == "" {
		return "/var/www/html", nil
	}
	inside := ""
	if app := in.Assignment.Application; app != nil {
		inside = app.DocumentRoot
	}
	if inside != "" && !filepath.IsLocal(inside) {
		return "", fmt.Errorf("document_root: %q leads out of the application", inside)
	}
	root := filepath.Join(input.ReleaseDir, inside)
	if info, err := os.Stat(root); err != nil || !info.IsDir() {
		return "", fmt.Errorf("document_root: the application has no folder %q. Name one that is in it, or leave document_root out to serve its top", inside)
	}
	return root, nil
}

// variableName is what a shell takes for a variable's name; PHP and Apache take no more.
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func environment(env map[string]string) ([]variable, error) {
	names := make([]string, 0, len(env))
	for name := range env {
		names = append(names, name)
	}
	slices.Sort(names)
	vars := make([]variable, 0, len(env))
	for _, name := range names {
		if !variableName.MatchString(name) {
			return nil, fmt.Errorf("environment: %q is no name of a variable. Use letters, digits and underscores, no digit first", name)
		}
		value, err := quote(env[name])
		if err != nil {
			// The value may be a secret and stays out of the error.
			return nil, fmt.Errorf("environment: the value of %s %w", name, err)
		}
		vars = append(vars, variable{name, value})
	}
	return vars, nil
}

// quote writes an argument of Apache's configuration. Within quotes a backslash escapes itself and the quote;
// ${NAME} is replaced everywhere, also within quotes, and nothing escapes it: so it is cut in two words that Apache
// never sees as one, by a variable that it replaces with the dollar sign and does not look at again.
func quote(s string) (string, error) {
	if i := strings.IndexAny(s, "\r\n\x00"); i >= 0 {
		return "", fmt.Errorf("holds a line break or a zero byte, which Apache's configuration cannot carry. Encode it, by base64 for one")
	}
	s = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `${`, `${FARMHAND_DOLLAR}{`).Replace(s)
	return `"` + s + `"`, nil
}
