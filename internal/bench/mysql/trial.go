package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/e2e/live"
)

const (
	role    = "mysql"
	servers = 3
	writers = 8
	// steady is how long writing goes on undisturbed before and after.
	steady = 2 * time.Second
	// seasoned is how long a server has to have served so that its loss is not taken for a crash loop, whose launches are spaced.
	seasoned = 11 * time.Second
	patience = 2 * time.Minute
)

const hcl = `
terraform {
  required_providers {
    farmhand = { source = "farmhand/farmhand" }
  }
}
provider "farmhand" {}
variable "farm" {}
variable "subnet" {}
variable "platform" {}
resource "farmhand_sidecar" "here" {
  local = {}
}
resource "farmhand_farm" "db" {
  name    = var.farm
  sidecar = farmhand_sidecar.here.id
  zone    = "${var.farm}.internal"
  docker  = { subnet = var.subnet }
}
resource "farmhand_role" "mysql" {
  farm     = farmhand_farm.db.name
  name     = "mysql"
  behavior = "mysql"
  min      = 3
  max      = 3
  settings = { flap_minutes = "0" } # it is lost again and again, on purpose
  volume   = { on_destroy = "delete" }
}
`

type bench struct {
	farm    *live.Farm
	engine  *live.Engine
	rec     *live.Record
	writers *live.Writers
	dir     string
}

type trial struct {
	gap                    time.Duration
	rate                   int // rows acknowledged a second, before
	lost, accepted, errors int
}

// begin applies a farm and writes to its database.
func begin(ctx context.Context, hcl string, rate int) (_ *bench, err error) {
	b := &bench{}
	if b.dir, err = os.MkdirTemp("", "farmhand-bench-mysql-"); err != nil {
		return nil, err
	}
	if b.engine, err = live.OpenEngine(ctx); err != nil {
		return nil, err
	}
	subnet, err := b.engine.FreeSubnet(ctx)
	if err != nil {
		return nil, err
	}
	b.farm = &live.Farm{Name: fmt.Sprintf("benchmysql-%d", os.Getpid()%10000), Subnet: subnet, Platform: "docker", Dir: filepath.Join(b.dir, "hcl"), StateDir: filepath.Join(b.dir, "state"), Bin: filepath.Join(b.dir, "bin")}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.end(context.WithoutCancel(ctx)))
		}
	}()
	if b.farm.CLI, err = live.FindCLI(); err != nil {
		return nil, err
	}
	if err := errors.Join(os.MkdirAll(b.farm.Dir, 0o755), os.MkdirAll(b.farm.Bin, 0o755)); err != nil {
		return nil, err
	}
	if err := live.Build(ctx, b.farm.Bin); err != nil {
		return nil, err
	}
	if err := b.farm.UseHCL(hcl); err != nil {
		return nil, err
	}
	if _, err := b.farm.Apply(ctx); err != nil {
		return nil, err
	}
	if b.rec, err = b.farm.Open(ctx); err != nil {
		return nil, err
	}
	b.writers, err = live.Write(ctx, b.rec, b.farm.Name, role, writers, rate)
	return b, err
}

func (b *bench) end(ctx context.Context) error {
	if b.writers != nil {
		b.writers.Stop()
	}
	if b.rec != nil {
		_ = b.rec.Close()
	}
	var errs []error
	if _, err := os.Stat(filepath.Join(b.farm.Dir, "terraform.tfstate")); err == nil {
		_, err := b.farm.Destroy(ctx)
		errs = append(errs, err)
	}
	return errors.Join(append(errs, os.RemoveAll(b.dir))...)
}

// whole waits for n servers, a primary whose replicas all acknowledge.
func (b *bench) whole(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return live.Until(ctx, 100*time.Millisecond, func(ctx context.Context) (bool, string) {
		lacks, err := b.rec.Replicated(ctx, b.farm.Name, role, n)
		if err != nil {
			lacks = err.Error()
		}
		return lacks == "", lacks
	})
}

// trial takes the primary away and waits until writing goes on elsewhere.
func (b *bench) trial(ctx context.Context, act func(context.Context) (func(context.Context) int, error)) (t trial, err error) {
	if err := b.whole(ctx, servers); err != nil {
		return t, fmt.Errorf("waiting for the database to be whole: %w", err)
	}
	before := time.Now()
	if err := wait(ctx, seasoned); err != nil {
		return t, err
	}
	t.rate = int(float64(b.writers.Since(before)) / time.Since(before).Seconds())
	d, err := b.rec.Database(ctx, b.farm.Name, role)
	if err != nil {
		return t, err
	}
	_, errorsBefore := b.writers.Acked()
	began := time.Now()
	after, err := act(ctx)
	if err != nil {
		return t, err
	}
	until, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = live.Until(until, 50*time.Millisecond, func(ctx context.Context) (bool, string) {
		now, err := b.rec.Database(ctx, b.farm.Name, role)
		if err != nil || now.Term == d.Term || now.Failover != nil {
			return false, "no other primary yet"
		}
		return b.writers.Since(time.Now().Add(-500*time.Millisecond)) > 50, "nothing is written to the new primary"
	})
	if err != nil {
		return t, err
	}
	if err := wait(ctx, steady); err != nil {
		return t, err
	}
	t.gap = b.writers.Gap(began)
	_, errorsAfter := b.writers.Acked()
	t.errors = errorsAfter - errorsBefore
	if after != nil {
		t.accepted = after(ctx)
	}
	t.lost, err = b.writers.Lost(ctx)
	return t, err
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// primary is the container that is to be lost, and its address.
func (b *bench) primary(ctx context.Context) (id, host string, err error) {
	d, err := b.rec.Database(ctx, b.farm.Name, role)
	if err != nil {
		return "", "", err
	}
	ids, err := b.engine.Running(ctx, b.farm.Name)
	return ids[d.Primary], d.PrimaryAddress, err
}

func (b *bench) kill(ctx context.Context) (func(context.Context) int, error) {
	id, _, err := b.primary(ctx)
	if err != nil {
		return nil, err
	}
	return nil, b.engine.Kill(ctx, id)
}

// pause stops the primary in the middle of what it does. If the fence left it there, it is let go on afterwards, and must accept nothing.
func (b *bench) pause(ctx context.Context) (func(context.Context) int, error) {
	id, host, err := b.primary(ctx)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) int {
		if b.engine.Unpause(ctx, id) != nil {
			return 0 // it was ended: nobody is there to accept anything
		}
		return b.writers.Accepts(ctx, host, 3*time.Second)
	}, b.engine.Pause(ctx, id)
}

func (b *bench) cut(ctx context.Context) (func(context.Context) int, error) {
	id, host, err := b.primary(ctx)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) int {
		if ids, err := b.engine.Running(ctx, b.farm.Name); err != nil || !slices.Contains(slices.Collect(maps.Values(ids)), id) {
			return 0 // it was ended, and its address is another's
		}
		return b.writers.Accepts(ctx, host, 3*time.Second)
	}, b.engine.Cut(ctx, id)
}

func (b *bench) plan(ctx context.Context) (func(context.Context) int, error) {
	_, err := b.farm.Farmhand(ctx, "failover", b.farm.Name+"/"+role)
	return nil, err
}
