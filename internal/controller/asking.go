package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/farmhand/terraform-provider-farmhand/internal/metric/source"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// asking is who asks for the farm's metrics that no agent measures. Nothing runs while no policy has one.
type asking struct {
	asker *source.Asker
	stop  func()
	asked map[string]bool // by id, whose series the store may hold
}

func seriesID(p spec.Policy) string { return p.Role + "/" + p.Name }

// ask has asked whatever the policies of this tick need, and makes the answers part of what is seen. What goes wrong
// with one source is that policy's own trouble; the error is the store's.
func (k *keeper) ask(ctx context.Context, s *sight) error {
	if k.quiet {
		return nil
	}
	questions, err := k.questions(ctx, s)
	if err != nil {
		return fmt.Errorf("reading what metrics are asked with: %w", err)
	}
	if k.asking.asker == nil {
		if len(questions) == 0 {
			return nil
		}
		k.startAsking(ctx)
	}
	former := func(id string) state.Series {
		series, _, err := store.GetJSON[state.Series](ctx, k.store, state.SeriesPrefix(k.farm)+id)
		if err != nil {
			return state.Series{} // none was kept, or none can be read: it begins anew
		}
		return series
	}
	k.asking.asker.Follow(questions, former)
	if err := k.forgetSeries(ctx, questions); err != nil {
		return fmt.Errorf("removing what was asked for before: %w", err)
	}
	s.series = k.asking.asker.Series
	return nil
}

func (k *keeper) startAsking(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	farm, kept := k.farm, k.store
	k.asking.asker = source.NewAsker(k.opts.Cloud, func(ctx context.Context, id string, series state.Series) error {
		_, err := store.PutJSON(ctx, kept, state.SeriesPrefix(farm)+id, series)
		return err
	})
	running.Go(func() { k.asking.asker.Run(ctx) })
	k.asking.stop = func() { cancel(); running.Wait() }
}

// stopAsking ends it, so that the next run begins anew.
func (k *keeper) stopAsking() {
	if k.asking.stop != nil {
		k.asking.stop()
	}
	k.asking = asking{}
}

// forgetSeries removes the series of policies that are gone.
func (k *keeper) forgetSeries(ctx context.Context, questions []source.Question) error {
	if k.asking.asked == nil {
		k.asking.asked = map[string]bool{}
		entries, err := k.store.List(ctx, state.SeriesPrefix(k.farm))
		if err != nil {
			return err
		}
		for _, e := range entries {
			k.asking.asked[strings.TrimPrefix(e.Key, state.SeriesPrefix(k.farm))] = true
		}
	}
	now := map[string]bool{}
	for _, q := range questions {
		now[q.ID], k.asking.asked[q.ID] = true, true
	}
	for id := range k.asking.asked {
		if now[id] {
			continue
		}
		if err := k.store.Delete(ctx, state.SeriesPrefix(k.farm)+id); err != nil {
			return err
		}
		delete(k.asking.asked, id)
	}
	return nil
}

// questions are what the policies have asked elsewhere, with what it takes to ask.
func (k *keeper) questions(ctx context.Context, s *sight) ([]source.Question, error) {
	var all []source.Question
	for _, r := range s.roles {
		if r.Deleting || r.Ended || s.farm.Deleting {
			continue
		}
		for _, p := range r.policies {
			if p.Metric == nil || p.Metric.Origin() != spec.AskedElsewhere {
				continue
			}
			q := source.Question{ID: seriesID(p), Metric: *p.Metric}
			if p.Metric.SecretVersion > 0 {
				secret, _, err := store.GetJSON[state.PolicySecret](ctx, k.store, state.PolicySecretKey(k.farm, p.Role, p.Name))
				switch {
				case errors.Is(err, store.ErrNotFound):
					q.Problem = "its secret is not in the store: apply it again"
				case err != nil:
					return nil, err
				}
				q.Secret = secret.Secret
			}
			if m := p.Metric.SQL; m != nil && m.Role != "" {
				var err error
				if q.Database, q.Problem, err = k.database(ctx, s, m.Role); err != nil {
					return nil, err
				}
			}
			all = append(all, q)
		}
	}
	return all, nil
}

// database is how the role's database is reached: the address of its primary, else of its first server that serves,
// with what the behavior hands to the roles that use it.
func (k *keeper) database(ctx context.Context, s *sight, id string) (at source.Database, problem string, err error) {
	name := strings.TrimPrefix(id, k.farm+"/")
	r := s.roles[name]
	if r == nil || r.behavior == nil || r.revision == 0 {
		return at, fmt.Sprintf("role %s is not declared in this farm", id), nil
	}
	var serving *recordSight
	for _, rec := range s.records {
		if rec.Role == name && rec.Phase == state.Running && rec.Address != "" &&
			(serving == nil || rec.Primary && !serving.Primary || rec.Primary == serving.Primary && rec.Index < serving.Index) {
			serving = rec
		}
	}
	if serving == nil {
		return at, fmt.Sprintf("no server of role %s is running", id), nil
	}
	secret, _, err := store.GetJSON[map[string]string](ctx, k.store, state.SecretKey(k.farm, name))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return at, "", err
	}
	topology := state.RoleTopology{Behavior: r.Spec.Behavior, Settings: r.Spec.Settings,
		Instances: []state.Member{{Name: serving.Name(), Index: serving.Index, Address: serving.Address, Primary: serving.Primary}}}
	exports := r.behavior.Exports(r.Spec, "", topology, secret)
	if exports["DB_HOST"] == "" || exports["DB_USER"] == "" {
		return at, fmt.Sprintf("role %s is no database: its behavior is %s", id, r.Spec.Behavior), nil
	}
	return source.Database{Address: exports["DB_HOST"] + ":" + exports["DB_PORT"], User: exports["DB_USER"], Password: exports["DB_PASSWORD"], Name: exports["DB_NAME"]}, "", nil
}

// forgetMetrics removes what was kept for the role's policies.
func (k *keeper) forgetMetrics(ctx context.Context, role string) error {
	for _, prefix := range []string{state.SeriesKey(k.farm, role, ""), state.PolicySecretKey(k.farm, role, "")} {
		entries, err := k.store.List(ctx, prefix)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := k.store.Delete(ctx, e.Key); err != nil {
				return err
			}
		}
	}
	return nil
}
