// Command bench measures a farm on this machine and writes docs/benchmarks.md: what `make bench` runs.
//
// It applies examples/lamp for real, kills web servers, loads them, and looks at what sidecar and agents use while
// nothing happens. The engine's numbers are those of its own Go benchmark. No number is a pass or a failure here.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/farmhand/terraform-provider-farmhand/internal/e2e/live"
)

func main() {
	kills := flag.Int("kills", 7, "web servers to kill, one after the other")
	loads := flag.Int("loads", 3, "steps in load; the farm shrinks again after each, which takes minutes")
	out := flag.String("o", "docs/benchmarks.md", "page to write; empty for none")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	table, err := run(ctx, *kills, *loads)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	fmt.Println()
	fmt.Print(markdown(table))
	if *out == "" {
		return
	}
	project, err := live.Project()
	if err == nil {
		file := *out
		if !filepath.IsAbs(file) {
			file = filepath.Join(project, file)
		}
		err = os.WriteFile(file, []byte(page(table)), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: writing the page:", err)
		os.Exit(1)
	}
}

// row is one line of the table.
type row struct{ what, measured, aim, how string }

func run(ctx context.Context, kills, loads int) (table []row, err error) {
	f, err := apply(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := f.close(context.WithoutCancel(ctx)); err == nil {
			err = closeErr
		}
	}()
	table = append(table, f.firstPage())

	for _, measure := range []func(context.Context) ([]row, error){
		f.idle,
		func(ctx context.Context) ([]row, error) { return f.heal(ctx, kills) },
		func(ctx context.Context) ([]row, error) { return f.grow(ctx, loads) },
		engine,
	} {
		rows, err := measure(ctx)
		if err != nil {
			return nil, err
		}
		table = append(table, rows...)
	}
	return table, nil
}
