package sidecar

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/controller"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// sampleAge is how old a sample may be to be called the present load: agents take one every two seconds.
const sampleAge = 15 * time.Second

func lookAtFarm(ctx context.Context, s store.Store, farm string, now time.Time) (farmStatus, error) {
	f := farmStatus{Name: farm, Roles: []roleStatus{}, Instances: []instanceStatus{}}
	declared, _, err := store.GetJSON[state.Declared[spec.Farm]](ctx, s, state.FarmKey(farm))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return f, err
	}
	f.Platform, f.Zone, f.Deleting = declared.Spec.Platform(), declared.Spec.Zone, declared.Deleting
	runtime, _, err := store.GetJSON[state.Runtime](ctx, s, state.RuntimeKey(farm))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return f, err
	}
	f.Nameserver = runtime.Nameserver

	instances, err := store.ListJSON[state.Instance](ctx, s, state.InstancePrefix(farm))
	if err != nil {
		return f, err
	}
	reports, err := store.ListJSON[state.Report](ctx, s, state.ReportPrefix(farm))
	if err != nil {
		return f, err
	}
	byToken := map[string]state.Report{}
	for _, r := range reports {
		byToken[r.Value.Token] = r.Value
	}
	for _, i := range instances {
		report, heard := byToken[i.Value.Token]
		f.Instances = append(f.Instances, instanceOf(i.Value, report, heard, now))
	}
	slices.SortFunc(f.Instances, func(a, b instanceStatus) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Index, b.Index))
	})

	roles, err := store.ListJSON[state.Declared[spec.Role]](ctx, s, state.RolePrefix(farm))
	if err != nil {
		return f, err
	}
	for _, r := range roles {
		status, err := roleOf(ctx, s, r.Value)
		if err != nil {
			return f, err
		}
		manual, _, err := store.GetJSON[state.Manual](ctx, s, state.ManualKey(farm, r.Value.Spec.Name))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return f, err
		}
		if manual.Active(now) {
			status.Manual = &manual
		}
		db, _, err := store.GetJSON[state.Database](ctx, s, state.DatabaseKey(farm, r.Value.Spec.Name))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return f, err
		}
		if err == nil {
			status.Database = &db
		}
		f.Roles = append(f.Roles, status)
	}
	return f, nil
}

// roleOf is a role with the account that the engine last gave of its number.
func roleOf(ctx context.Context, s store.Store, d state.Declared[spec.Role]) (roleStatus, error) {
	r := roleStatus{Name: d.Spec.Name, Behavior: d.Spec.Behavior, Min: d.Spec.Min, Max: d.Spec.Max, Deleting: d.Deleting, Reason: "not decided yet"}
	record, err := controller.LatestRecord(ctx, s, d.Spec.Farm, d.Spec.Name)
	if errors.Is(err, store.ErrNotFound) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	a := record.Account
	r.Min, r.Max, r.Serving, r.Coming, r.Desired, r.Reason = a.Min, a.Max, a.Serving, a.Coming, a.Desired, a.Reason
	return r, nil
}

func instanceOf(i state.Instance, report state.Report, heard bool, now time.Time) instanceStatus {
	s := instanceStatus{
		Name: i.Name(), Role: i.Role, Index: i.Index, Phase: i.Phase, Since: i.Since, Created: i.Created,
		Address: i.Address, Primary: i.Primary, Reason: i.Reason, Failure: i.Failure,
	}
	if heard {
		s.Heard = report.At
		s.Healthy = report.Serving()
		if n := len(report.Samples); n > 0 && now.Sub(report.Samples[n-1].At) < sampleAge {
			last := report.Samples[n-1]
			s.Load1, s.CPU = &last.Load1, &last.CPU
		}
	}
	s.Health = health(i, report, heard, now)
	if heard && report.Database != nil {
		s.Database = report.Database
		if s.Health == "ok" {
			s.Health += ", " + databaseHealth(report.Database)
		}
	}
	return s
}

// health is how an instance is, in a few words.
func health(i state.Instance, report state.Report, heard bool, now time.Time) string {
	switch {
	case i.Failure != nil:
		return fmt.Sprintf("%s: %s", i.Failure.Step, i.Failure.Error)
	case !heard:
		return "not heard of yet"
	case report.Boot.Failed != "":
		return fmt.Sprintf("%s: %s", report.Boot.Step, report.Boot.Failed)
	case !report.Boot.Done:
		return report.Boot.Step
	case now.Sub(report.At) > sampleAge:
		return fmt.Sprintf("silent for %s", age(now.Sub(report.At)))
	}
	for _, c := range report.Checks {
		if !c.OK {
			return fmt.Sprintf("%s check: %s", c.Name, c.Message)
		}
	}
	if report.ApplyError != "" {
		return "serves on its former configuration: " + report.ApplyError
	}
	return "ok"
}
