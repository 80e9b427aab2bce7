package controller

import (
	"context"
	"errors"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// launchBatches makes the launches that this tick has gathered, those of one role and generation by one call: a platform that
// counts calls is asked once for a hundred machines. Launches under way, or waiting after a failure, are left out.
func (k *keeper) launchBatches() {
	batcher, ok := k.platform.(platform.Batcher)
	gathered := k.batch
	k.batch = nil
	if !ok {
		return
	}
	alike := map[[2]string][]platform.Launch{}
	for _, l := range gathered {
		key := [2]string{l.Role, l.Generation}
		alike[key] = append(alike[key], l)
	}
	for _, batch := range alike {
		byJob := map[string]platform.Launch{}
		var keys []string
		for _, l := range batch {
			keys = append(keys, launchJob(l.Token))
			byJob[launchJob(l.Token)] = l
		}
		k.jobs.startAll(k.jobsCtx, k.launches, keys, func(ctx context.Context, keys []string) []error {
			ls := make([]platform.Launch, len(keys))
			for i, key := range keys {
				ls[i] = byJob[key]
			}
			return k.launchAll(ctx, batcher, ls)
		})
	}
}

func (k *keeper) launchAll(ctx context.Context, batcher platform.Batcher, ls []platform.Launch) []error {
	errs := make([]error, len(ls))
	fail := func(err error) []error {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	if !k.lease.Held() {
		return fail(store.ErrFenced)
	}
	ctx, cancel := context.WithTimeout(ctx, launchPatience)
	defer cancel()
	for i := range ls {
		if err := k.bootstrap(ctx, &ls[i]); err != nil {
			return fail(err)
		}
	}
	results := batcher.LaunchAll(ctx, ls)
	if len(results) != len(ls) {
		return fail(errors.New("the platform answered another number of launches than it was asked for"))
	}
	for i, r := range results {
		errs[i] = k.answered(ctx, ls[i], r.Machine, r.Err)
	}
	return errs
}
