package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/deploy/executable"
)

// Farm is one Terraform configuration applied with a provider that was just built. Its methods may not be called
// concurrently, except those that only read.
type Farm struct {
	Name     string // also of the DNS zone: Name.internal
	Subnet   string // CIDR of its network
	Platform string // "docker" or "simulated"
	StateDir string // FARMHAND_STATE_DIR
	Dir      string // where the configuration and Terraform's state are
	Bin      string // folder of the two binaries
	CLI      string // path of terraform or tofu
	Log      io.Writer
	Env      []string // of Terraform and the provider, besides this process's
}

// ErrTerraform is wrapped by the error of every Terraform command that failed; the error holds its output.
var ErrTerraform = errors.New("terraform failed")

// Project is the top folder of the source tree that the working directory is in.
func Project() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("not inside the source tree: no go.mod above the working directory")
		}
		dir = up
	}
}

// Build compiles the binaries into dir, as users get them.
func Build(ctx context.Context, dir string) error {
	project, err := Project()
	if err != nil {
		return err
	}
	for name, pkg := range map[string]string{"terraform-provider-farmhand": ".", "farmhand": "./sidecar/farmhand", executable.AgentName(runtime.GOARCH): "./sidecar/farmhand-agent"} {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", filepath.Join(dir, name), pkg)
		cmd.Dir = project
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", name, err, out)
		}
	}
	return nil
}

// FindCLI is the terraform or tofu to use: $FARMHAND_E2E_CLI, else the PATH's.
func FindCLI() (string, error) {
	if cli := os.Getenv("FARMHAND_E2E_CLI"); cli != "" {
		return cli, nil
	}
	for _, name := range []string{"terraform", "tofu"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("neither terraform nor tofu is on the PATH: scripts/setup.sh gets one")
}

// UseExample copies examples/lamp into f.Dir and takes the demo's own leftovers out.
func (f *Farm) UseExample() error { return f.UseExampleOf("lamp") }

// UseExampleOf is UseExample of another one.
func (f *Farm) UseExampleOf(name string) error {
	project, err := Project()
	if err != nil {
		return err
	}
	if err := os.CopyFS(f.Dir, os.DirFS(filepath.Join(project, "examples", name))); err != nil {
		return fmt.Errorf("copying examples/%s: %w", name, err)
	}
	for _, pattern := range []string{"*.tfstate*", "*.auto.tfvars", ".terraform*"} {
		found, _ := filepath.Glob(filepath.Join(f.Dir, pattern))
		for _, path := range found {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// UseHCL writes a configuration of its own into f.Dir.
func (f *Farm) UseHCL(hcl string) error {
	return os.WriteFile(filepath.Join(f.Dir, "main.tf"), []byte(hcl), 0o600)
}

// Terraform runs a subcommand in f.Dir and returns what it printed, standard error included.
func (f *Farm) Terraform(ctx context.Context, args ...string) (string, error) {
	rc := filepath.Join(f.Dir, "dev.tfrc")
	overrides := fmt.Sprintf("provider_installation {\n  dev_overrides {\n    \"farmhand/farmhand\" = %q\n  }\n  direct {}\n}\ndisable_checkpoint = true\n", f.Bin)
	if err := os.WriteFile(rc, []byte(overrides), 0o600); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, f.CLI, args...)
	// Interrupted as a person does it: a killed one would leave its state locked and its provider behind.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Dir = f.Dir
	cmd.Env = append(append(os.Environ(), f.Env...),
		"TF_CLI_CONFIG_FILE="+rc, "FARMHAND_STATE_DIR="+f.StateDir, "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1")
	var out bytes.Buffer
	cmd.Stdout = &out
	if f.Log != nil {
		cmd.Stdout = io.MultiWriter(&out, f.Log)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%w: %s %s: %w\n%s", ErrTerraform, filepath.Base(f.CLI), strings.Join(args, " "), err, out.String())
	}
	return out.String(), nil
}

func (f *Farm) vars() []string {
	if f.Name == "" {
		return nil // the configuration has none
	}
	return []string{"-var=farm=" + f.Name, "-var=subnet=" + f.Subnet, "-var=platform=" + f.Platform}
}

// Apply applies and returns what Terraform printed.
func (f *Farm) Apply(ctx context.Context) (string, error) {
	return f.Terraform(ctx, append([]string{"apply", "-auto-approve", "-input=false", "-no-color"}, f.vars()...)...)
}

// Plan tells whether there is anything to change, and returns what Terraform printed.
func (f *Farm) Plan(ctx context.Context) (changes bool, out string, err error) {
	out, err = f.Terraform(ctx, append([]string{"plan", "-detailed-exitcode", "-input=false", "-no-color"}, f.vars()...)...)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 2 {
		return true, out, nil
	}
	return false, out, err
}

// Destroy destroys.
func (f *Farm) Destroy(ctx context.Context) (string, error) {
	return f.Terraform(ctx, append([]string{"destroy", "-auto-approve", "-input=false", "-no-color"}, f.vars()...)...)
}

// Outputs are the configuration's output values that are strings.
func (f *Farm) Outputs(ctx context.Context) (map[string]string, error) {
	cmd := exec.CommandContext(ctx, f.CLI, "output", "-json")
	cmd.Dir = f.Dir
	cmd.Env = append(os.Environ(), "CHECKPOINT_DISABLE=1")
	b, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("reading outputs: %w", err)
	}
	var raw map[string]struct {
		Value any `json:"value"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return nil, fmt.Errorf("reading outputs: %w", err)
	}
	outputs := map[string]string{}
	for name, o := range raw {
		if s, ok := o.Value.(string); ok {
			outputs[name] = s
		}
	}
	return outputs, nil
}

// Farmhand runs the farmhand command with f's state directory and returns what it printed.
func (f *Farm) Farmhand(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(f.Bin, "farmhand"), args...)
	cmd.Env = slices.Concat(os.Environ(), f.Env, []string{"FARMHAND_STATE_DIR=" + f.StateDir})
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("farmhand %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}
