package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// stockPatience bounds one round of the platform's own work.
const stockPatience = time.Minute

// keepStock lets the platform see to what no single launch asks for: warm pools, disks to be attached, addresses. It is done
// beside the ticks, once per tick at most.
func (k *keeper) keepStock(s *sight) {
	keeper, ok := k.platform.(platform.Keeper)
	if !ok || !s.listed || k.onlyRole != "" || s.now.Sub(k.kept) < k.tickEvery {
		return
	}
	k.kept = s.now
	var roles []spec.Role
	generations := map[string]string{}
	for name, r := range s.roles {
		if r.revision == 0 || r.Deleting || s.farm.Deleting {
			continue
		}
		roles = append(roles, r.Spec)
		generations[name] = r.generation
	}
	used := s.volumesUsed()
	k.jobs.background("stock", func() {
		ctx, cancel := context.WithTimeout(k.jobsCtx, stockPatience)
		defer cancel()
		if !k.lease.Held() {
			return
		}
		err := errors.Join(keeper.Keep(ctx, roles, generations), k.growVolumes(ctx, roles, used))
		if err != nil && ctx.Err() == nil {
			k.eventOnce(ctx, state.Event{Kind: "stock", Level: "warning", Reason: fmt.Sprintf("seeing to volumes, addresses and warm pools: %v; trying again", err)})
		} else if err == nil {
			k.forgetOnce("", "stock")
		}
	})
}
