package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/e2e/live"
)

// engine runs the engine's own benchmark.
func engine(ctx context.Context) ([]row, error) {
	project, err := live.Project()
	if err != nil {
		return nil, err
	}
	say("running the engine's benchmark")
	cmd := exec.CommandContext(ctx, "go", "test", "-run=^$", "-bench=.", "-benchmem", "./internal/engine")
	cmd.Dir = project
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("the engine's benchmark: %w\n%s", err, out)
	}
	var rows []row
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		if r, ok := benchmarkRow(lines.Text()); ok {
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// benchmarkRow reads a line such as "BenchmarkDecide/roles=1000-2  10  104123456 ns/op  62345678 B/op  12345 allocs/op".
func benchmarkRow(line string) (row, bool) {
	fields := strings.Fields(line)
	if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
		return row{}, false
	}
	value := map[string]float64{}
	for i := 2; i+1 < len(fields); i += 2 {
		v, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return row{}, false
		}
		value[fields[i+1]] = v
	}
	name := strings.TrimPrefix(fields[0], "Benchmark")
	if dash := strings.LastIndexByte(name, '-'); dash > 0 {
		name = name[:dash]
	}
	measured := fmt.Sprintf("%.1f ms, %.1f MB allocated", value["ns/op"]/float64(time.Millisecond), value["B/op"]/1e6)
	return row{"Engine, one pass: " + name, measured, "", "the package's Go benchmark"}, true
}
