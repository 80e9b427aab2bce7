package controller

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// TestHealthy: a farm whose platform cannot be opened is tried again and again, and is not called healthy for that.
func TestHealthy(t *testing.T) {
	w := realTime(t)
	var ahead atomic.Int64
	var broken atomic.Bool
	var tries atomic.Int64
	broken.Store(true)
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	c, err := New(Options{Store: w.store, Holder: "sidecar-1", Now: now, OpenPlatform: func(context.Context, spec.Farm, store.Store) (platform.Platform, error) {
		tries.Add(1)
		if broken.Load() {
			return nil, errors.New("no such socket")
		}
		return w.platform, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Healthy(); err == nil {
		t.Error("healthy before it runs")
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	eventually(t, "a second try", func() bool { return tries.Load() > 1 })
	if err := c.Healthy(); err != nil {
		t.Errorf("at first it is given time: %v", err)
	}
	before := tries.Load()
	ahead.Store(int64(61 * time.Second))
	eventually(t, "another try", func() bool { return tries.Load() > before })
	if err := c.Healthy(); err == nil || !strings.Contains(err.Error(), "no tick of farm "+farmName+" went well for 1m") {
		t.Errorf("after a minute: %v", err)
	}
	broken.Store(false)
	eventually(t, "it is healthy", func() bool { return c.Healthy() == nil })
}

// A farm that is looked at every five minutes is given three of them, and one that is another sidecar's says nothing of this one.
func TestHealthyAsOftenAsItTicks(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	c, err := New(Options{Store: newMemory(), Holder: "sidecar-1", Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	c.beats("slow", now, 5*time.Minute)
	c.beats("quick", now, 2*time.Second)
	now = now.Add(time.Minute)
	c.looked(now)
	if err := c.Healthy(); err != nil {
		t.Error(err)
	}
	now = now.Add(time.Second)
	if err := c.Healthy(); err == nil || !strings.Contains(err.Error(), "quick") || strings.Contains(err.Error(), "slow") {
		t.Error(err)
	}
	c.rests("quick")
	now = now.Add(14 * time.Minute)
	c.looked(now)
	if err := c.Healthy(); err == nil || !strings.Contains(err.Error(), "slow") || strings.Contains(err.Error(), "quick") {
		t.Error(err)
	}
	c.rests("slow")
	if err := c.Healthy(); err != nil {
		t.Error(err)
	}
	now = now.Add(61 * time.Second)
	if err := c.Healthy(); err == nil || !strings.Contains(err.Error(), "list of farms") {
		t.Error(err)
	}
}
