package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

type kind struct {
	name, bound string
	trials      []trial
}

func report(kinds []kind, b *bench) string {
	var s strings.Builder
	s.WriteString("| the primary is | trials | longest gap between acknowledged writes: median (least to most) | aim | acknowledged rows lost | accepted by the old one afterwards | failed statements per trial | rows/s before |\n|---|---|---|---|---|---|---|---|\n")
	for _, k := range kinds {
		if len(k.trials) == 0 {
			continue
		}
		var gaps []time.Duration
		var rates, errs []int
		lost, accepted := 0, 0
		for _, t := range k.trials {
			gaps, rates, errs = append(gaps, t.gap), append(rates, t.rate), append(errs, t.errors)
			lost, accepted = lost+t.lost, accepted+t.accepted
		}
		slices.Sort(gaps)
		slices.Sort(rates)
		slices.Sort(errs)
		fmt.Fprintf(&s, "| %s | %d | **%.2f s** (%.2f to %.2f) | %s | **%d** | **%d** | %d (at most %d) | %d |\n", k.name, len(k.trials), gaps[len(gaps)/2].Seconds(), gaps[0].Seconds(), gaps[len(gaps)-1].Seconds(),
			k.bound, lost, accepted, errs[len(errs)/2], errs[len(errs)-1], rates[len(rates)/2])
	}
	if b.writers != nil {
		acked, _ := b.writers.Acked()
		fmt.Fprintf(&s, "\n%d rows were acknowledged in all, and each was looked for after every trial.\n", acked)
	}
	return s.String()
}

// bulkReport is the table of what is done with all of the data.
func bulkReport(feats []feat) string {
	if len(feats) == 0 {
		return ""
	}
	var s strings.Builder
	fmt.Fprintf(&s, "\n## What is done with %d MB\n\nTwo servers, later three and four, of which the primary is written to at half that rate; each round on a farm of its own. The time is a\n"+
		"person's: from the command, or the apply, to its end, with up to two seconds until the sidecar takes it up.\n\n| what | rounds | median (least to most) | aim |\n|---|---|---|---|\n", bulkMB)
	for _, f := range feats {
		slices.Sort(f.took)
		fmt.Fprintf(&s, "| %s | %d | **%.1f s** (%.1f to %.1f) | %s |\n", f.what, len(f.took), f.took[len(f.took)/2].Seconds(), f.took[0].Seconds(), f.took[len(f.took)-1].Seconds(), f.aim)
	}
	s.WriteString("\nEach restore ended at the very transaction, with all rows.\n")
	return s.String()
}

func page(table string) string {
	return "# What a lost primary costs\n\nWritten by `make bench-mysql`, which needs a container engine and takes some fifteen minutes. Three MariaDB servers on one machine, eight\n" +
		"connections that insert single rows without a pause and find the primary by the farm's topology.\n\n" +
		fmt.Sprintf("Machine: %d cores, %s/%s, %s.\n\n", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version()) + table
}
