package executable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// AgentName is the name of the agent's own executable, which a release has beside the provider's: the agent and what it starts, and
// nothing of the sidecar. It takes two thirds of the memory on every instance.
func AgentName(architecture string) string { return "farmhand-agent_linux_" + architecture }

// InstalledAgent is where a copy of an executable has its agent's, since several copies lie in one folder.
func InstalledAgent(own, architecture string) string { return own + "-agent_linux_" + architecture }

// Agents finds what instances run, by architecture: $FARMHAND_LINUX_AMD64 if it is named, else the agent's executable beside own, else
// what Linux finds. The same for arm64. Errors are those of Linux.
func Agents(own string) (map[string]File, error) {
	found, err := Linux(own)
	if err != nil {
		return nil, err
	}
	for _, a := range Architectures() {
		if os.Getenv(Variable(a)) != "" {
			continue
		}
		f, ok, err := agentBeside(own, a)
		if err != nil {
			return nil, err
		}
		if ok {
			found[a] = f
		}
	}
	return found, nil
}

func agentBeside(own, architecture string) (File, bool, error) {
	for _, path := range []string{InstalledAgent(own, architecture), filepath.Join(filepath.Dir(own), AgentName(architecture))} {
		f, err := Read(path)
		switch {
		case err == nil && f.Architecture == architecture:
			return f, true, nil
		case err == nil:
			return File{}, false, fmt.Errorf("%s is made for %s and not for %s", path, f.Architecture, architecture)
		case !errors.Is(err, os.ErrNotExist):
			return File{}, false, fmt.Errorf("%s: %w", path, err)
		}
	}
	return File{}, false, nil
}

// Agent is the path of what containers on this machine's engine run: as Agents finds it for this architecture, else own, which the
// platform then judges.
func Agent(own string) (string, error) {
	found, err := Agents(own)
	if err != nil {
		return "", err
	}
	if f, ok := found[runtime.GOARCH]; ok {
		return f.Path, nil
	}
	return own, nil
}
