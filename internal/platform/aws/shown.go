package aws

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

const (
	// snapshotsEvery is how often snapshots are listed while none is pending.
	snapshotsEvery = time.Minute
	// One that is pending is asked for after a quarter of the time that it has taken so far, within these bounds: EBS takes from seconds to hours.
	pendingSoonest = time.Second
	pendingLatest  = 20 * time.Second
)

// shown are the farm's snapshots as EC2 last listed them, with what this process has done since. Guarded by AWS.mu.
type shown struct {
	at   time.Time // zero: never asked
	all  []platform.Snapshot
	gone map[string]time.Time // deleted here: EC2 may list them for a while yet
}

func (s *shown) add(one platform.Snapshot) {
	s.all = append(slices.Clone(s.all), one)
	sortSnapshots(s.all)
}

func (s *shown) remove(id string, now time.Time) {
	if s.gone == nil {
		s.gone = map[string]time.Time{}
	}
	s.gone[id] = now
	s.all = slices.DeleteFunc(slices.Clone(s.all), func(one platform.Snapshot) bool { return one.ID == id })
}

// fresh tells whether EC2 need not be asked again.
func (s *shown) fresh(now time.Time) bool {
	if s.at.IsZero() {
		return false
	}
	every := snapshotsEvery
	for _, one := range s.all {
		if one.State == platform.SnapshotPending {
			every = min(every, max(pendingSoonest, min(pendingLatest, now.Sub(one.At)/4)))
		}
	}
	return now.Sub(s.at) < every
}

func sortSnapshots(all []platform.Snapshot) {
	slices.SortFunc(all, func(a, b platform.Snapshot) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Name, b.Name)) })
}

func named(all []platform.Snapshot, name string) (platform.Snapshot, bool) {
	return find(all, func(s platform.Snapshot) bool { return s.Name == name })
}

func withID(all []platform.Snapshot, id string) (platform.Snapshot, bool) {
	return find(all, func(s platform.Snapshot) bool { return s.ID == id })
}

func find(all []platform.Snapshot, is func(platform.Snapshot) bool) (platform.Snapshot, bool) {
	if i := slices.IndexFunc(all, is); i >= 0 {
		return all[i], true
	}
	return platform.Snapshot{}, false
}

// ListSnapshots returns the farm's, oldest first. EC2 is asked once a minute, and more often while one is pending.
func (p *AWS) ListSnapshots(ctx context.Context) ([]platform.Snapshot, error) {
	p.mu.Lock()
	all, fresh := p.shown.all, p.shown.fresh(p.now())
	p.mu.Unlock()
	if fresh {
		return slices.Clone(all), nil
	}
	return p.askSnapshots(ctx)
}

// askSnapshots asks EC2: one call for each thousand. Records that it has overtaken are forgotten.
func (p *AWS) askSnapshots(ctx context.Context) ([]platform.Snapshot, error) {
	p.showing.Lock()
	defer p.showing.Unlock()
	doing := "listing the snapshots of farm " + p.farm.Name
	items, err := store.ListJSON[shot](ctx, p.store, p.shotPrefix())
	if err != nil {
		return nil, storeSays(err, doing)
	}
	records := map[string]shot{}
	asked := p.now()
	for _, i := range items {
		if asked.Sub(i.Value.Asked) < unlisted {
			records[i.Value.Name] = i.Value
		} else if err := p.dropShot(ctx, i.Value.Name); err != nil {
			return nil, err
		}
	}
	taken, err := p.taken(ctx, filter("tag-key", tagSnapshot))
	if err != nil {
		return nil, explain(err, doing)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, at := range p.shown.gone {
		if asked.Sub(at) > unlisted {
			delete(p.shown.gone, id)
		}
	}
	byName := map[string]platform.Snapshot{}
	for _, n := range taken {
		one := shownAs(n)
		if _, gone := p.shown.gone[one.ID]; gone {
			continue
		}
		before, twice := byName[one.Name]
		// Of two that a repeated call has made, the one that was told of, else the first.
		if id := records[one.Name].ID; !twice || one.ID == id || before.ID != id && one.At.Before(before.At) {
			byName[one.Name] = one
		}
	}
	for name, r := range records {
		if _, listed := byName[name]; !listed && r.ID != "" {
			byName[name] = r.snapshot()
		}
	}
	all := slices.Collect(maps.Values(byName))
	sortSnapshots(all)
	p.shown.at, p.shown.all = asked, all
	return slices.Clone(all), nil
}

// taken lists what TakeSnapshot made, out of what the filter selects. Moves of volumes make snapshots too, which have another tag; AWS
// Backup and people copy tags, so that what is a copy or theirs does not count.
func (p *AWS) taken(ctx context.Context, which types.Filter) ([]types.Snapshot, error) {
	c, err := p.compute(ctx)
	if err != nil {
		return nil, err
	}
	var all []types.Snapshot
	pages := ec2.NewDescribeSnapshotsPaginator(c, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: []types.Filter{p.ours(), which}, MaxResults: awssdk.Int32(1000)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, n := range page.Snapshots {
			if tag(n.Tags, tagSnapshot) != "" && tag(n.Tags, tagMove) == "" && !isCopy(n) {
				all = append(all, n)
			}
		}
	}
	return all, nil
}

// copiedVolume is what EC2 gives as the volume of a snapshot that is the copy of another one.
const copiedVolume = "vol-ffffffff"

// isCopy knows what a service of AWS' or somebody's CopySnapshot made.
func isCopy(n types.Snapshot) bool {
	if n.TransferType != "" || awssdk.ToString(n.VolumeId) == copiedVolume {
		return true
	}
	return slices.ContainsFunc(n.Tags, func(t types.Tag) bool { return strings.HasPrefix(awssdk.ToString(t.Key), "aws:") })
}

// shownAs reads one of EC2's.
func shownAs(n types.Snapshot) platform.Snapshot {
	s := platform.Snapshot{
		ID: awssdk.ToString(n.SnapshotId), Name: tag(n.Tags, tagSnapshot), Role: tag(n.Tags, tagRole), Instance: tag(n.Tags, tagInstance),
		At: awssdk.ToTime(n.StartTime), State: platform.SnapshotPending, Text: awssdk.ToString(n.Progress),
	}
	switch n.State {
	case types.SnapshotStateCompleted:
		s.State, s.Text, s.Bytes = platform.SnapshotDone, "", awssdk.ToInt64(n.FullSnapshotSizeInBytes)
	case types.SnapshotStateError:
		s.State, s.Text = platform.SnapshotFailed, "EBS gave it up: "+cmp.Or(awssdk.ToString(n.StateMessage), "it does not say why")
	}
	return s
}
