package main

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/prometheus/procfs"
)

// markdown is the table.
func markdown(table []row) string {
	var b strings.Builder
	b.WriteString("| what | measured | aim | how |\n|---|---|---|---|\n")
	for _, r := range table {
		fmt.Fprintf(&b, "| %s | **%s** | %s | %s |\n", r.what, r.measured, r.aim, r.how)
	}
	return b.String()
}

// page is docs/benchmarks.md.
func page(table []row) string {
	return "# Benchmarks\n\n" +
		"Written by `make bench`, which takes about six minutes and needs a container engine. Times are a median with the\n" +
		"least and the most in brackets.\n\n" +
		"Machine: " + machine() + ".\n\n" +
		markdown(table) +
		"\nTo repeat with other counts: `go run ./internal/bench -kills 20 -loads 5 -o \"\"` prints the table and writes nothing.\n"
}

// machine is this machine's size.
func machine() string {
	parts := []string{fmt.Sprintf("%d cores", runtime.NumCPU())}
	if fs, err := procfs.NewDefaultFS(); err == nil {
		if cpus, err := fs.CPUInfo(); err == nil && len(cpus) > 0 && cpus[0].ModelName != "" {
			parts[0] += " (" + cpus[0].ModelName + ")"
		}
		if mem, err := fs.Meminfo(); err == nil && mem.MemTotal != nil {
			parts = append(parts, fmt.Sprintf("%.0f GB of memory", float64(*mem.MemTotal)*1024/1e9))
		}
	}
	return strings.Join(append(parts, runtime.GOOS+"/"+runtime.GOARCH, runtime.Version()), ", ")
}
