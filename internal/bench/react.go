package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/e2e/live"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// heal kills web servers in turn and waits until the balancer serves from the replacement.
func (f *farm) heal(ctx context.Context, n int) ([]row, error) {
	var took []time.Duration
	for i := range n {
		if err := f.calm(ctx); err != nil {
			return nil, err
		}
		victim := fmt.Sprintf("web-%d", i%2+1)
		containers, err := f.engine.Running(ctx, f.Name)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		if err := f.engine.Kill(ctx, containers[victim]); err != nil {
			return nil, fmt.Errorf("killing %s: %w", victim, err)
		}
		// The replacement has the index and so the name of the killed one, which answers no more.
		err = within(ctx, time.Minute, "a page by the new "+victim, func(ctx context.Context) (bool, string) {
			page, err := live.Get(ctx, f.url)
			return err == nil && page.Status == 200 && page.Server == victim, fmt.Sprint(page.Status, page.Server, err)
		})
		if err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
		say("%s killed, its replacement served after %s", victim, seconds(took[i]))
	}
	return []row{{"From `docker kill` of a web server to its replacement serving", spread(took), "median ≤ 8 s",
		fmt.Sprintf("%d kills in turn, pages asked for through HAProxy until the new server answers", n)}}, nil
}

// grow puts load on and waits for the first launch.
func (f *farm) grow(ctx context.Context, n int) ([]row, error) {
	const requests = 60
	var took []time.Duration
	for range n {
		if err := f.calm(ctx); err != nil {
			return nil, err
		}
		began := time.Now()
		stop := live.Load(ctx, f.url, requests)
		var launched time.Time
		err := within(ctx, 2*time.Minute, "a launch", func(ctx context.Context) (bool, string) {
			instances, err := f.record.Instances(ctx, f.Name, "web")
			for _, i := range instances {
				if i.Created.After(began) {
					launched = i.Created
				}
			}
			return !launched.IsZero(), fmt.Sprint(len(instances), err)
		})
		stop()
		if err != nil {
			return nil, err
		}
		took = append(took, launched.Sub(began))
		say("load on, launch after %s; waiting until the farm is small again", seconds(launched.Sub(began)))
	}
	return []row{{"From a step in load to the launch call", spread(took), "median ≤ 10 s",
		fmt.Sprintf("%d steps from none to %d requests at once, the demo's policy (load average over 1 minute, target 1.5)", n, requests)}}, nil
}

// calm waits until two web servers run and none is on its way.
func (f *farm) calm(ctx context.Context) error {
	return within(ctx, 10*time.Minute, "two web servers running", func(ctx context.Context) (bool, string) {
		instances, err := f.record.Instances(ctx, f.Name, "web")
		if err != nil {
			return false, err.Error()
		}
		done := len(instances) == 2
		var status []string
		for _, i := range instances {
			done = done && i.Phase == state.Running
			status = append(status, fmt.Sprintf("%s %s", i.Name(), i.Phase))
		}
		return done, strings.Join(status, ", ")
	})
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// spread is the median with the extremes.
func spread(all []time.Duration) string {
	if len(all) == 0 {
		return "not measured"
	}
	s := slices.Sorted(slices.Values(all))
	median := (s[(len(s)-1)/2] + s[len(s)/2]) / 2
	return fmt.Sprintf("%s (%.1f to %.1f)", seconds(median), s[0].Seconds(), s[len(s)-1].Seconds())
}
