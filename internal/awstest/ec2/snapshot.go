package ec2

import (
	"slices"
	"strconv"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

type snapshotOut struct {
	SnapshotId, VolumeId, Status, Description, OwnerId, Progress, StorageTier, StatusMessage string
	VolumeSize                                                                               int
	FullSnapshotSizeInBytes                                                                  int
	StartTime                                                                                time.Time
	Encrypted                                                                                bool
	Tag                                                                                      []Tag
}

type snapshot struct {
	snapshotOut
	ready  time.Time
	broken string // why it failed; "" where it has not
	serial string
}

func (n *snapshot) status(now time.Time) string {
	if n.broken != "" {
		return "error"
	}
	if now.Before(n.ready) {
		return "pending"
	}
	return "completed"
}

type (
	createSnapshot struct {
		Description      string
		VolumeId         string `q:",required"`
		TagSpecification []TagSpecification
	}
	describeSnapshots struct {
		paged
		SnapshotId   []string
		Owner        []string
		RestorableBy []string
		Filter       []wire.Filter
	}
	snapshotID struct {
		SnapshotId string `q:",required"`
	}
	snapshotsOut struct {
		Snapshot  []snapshotOut
		NextToken string
	}
)

func (s *Service) onSnapshots() {
	wire.On(s.Query, "CreateSnapshot", s.createSnapshot)
	wire.On(s.Query, "DescribeSnapshots", s.describeSnapshots)
	wire.On(s.Query, "DeleteSnapshot", s.deleteSnapshot)
}

func (s *Service) snapshot(id string) (*snapshot, error) {
	if !wellFormed("snap", id) {
		return nil, wire.Errorf("InvalidParameterValue", "Value (%s) for parameter snapshotId is invalid. Expected: 'snap-...'.", id)
	}
	if n, ok := s.snapshots[id]; ok {
		return n, nil
	}
	return nil, wire.Errorf("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
}

func (s *Service) describeSnapshot(n *snapshot) snapshotOut {
	o := n.snapshotOut
	o.StatusMessage = n.broken
	o.Status, o.Tag, o.Progress = n.status(s.world.Now()), s.tagsOf(n.SnapshotId), "100%"
	if o.Status == "pending" {
		o.Progress, o.FullSnapshotSizeInBytes = "0%", 0
	}
	return o
}

// snapshotEvery is how often EBS takes a snapshot of a volume at most, and pendingSnapshots how many of one may be pending: of st1 and sc1
// volumes there may be but one. https://docs.aws.amazon.com/ebs/latest/userguide/ebs-create-snapshot.html
const (
	snapshotEvery    = 15 * time.Second
	pendingSnapshots = 5
)

// mayBeTaken holds a volume's next snapshot against the state of the volume and EBS' limits.
func (s *Service) mayBeTaken(v *volume) error {
	now, pending := s.world.Now(), 0
	if s.status(v) == "creating" {
		return wire.Errorf("IncorrectState", "The volume '%s' is 'creating'", v.VolumeId)
	}
	for _, n := range s.snapshots {
		if n.VolumeId == v.VolumeId && n.status(now) == "pending" {
			pending++
		}
	}
	switch {
	case now.Before(v.snapshotAt.Add(snapshotEvery)):
		return wire.Errorf("SnapshotCreationPerVolumeRateExceeded", "The maximum per volume CreateSnapshot request rate has been exceeded. Use an increasing or variable sleep interval between requests.")
	case pending >= pendingSnapshots, pending > 0 && (v.VolumeType == "st1" || v.VolumeType == "sc1"):
		return wire.Errorf("ConcurrentSnapshotLimitExceeded", "Maximum allowed in-progress snapshots for a single volume exceeded.")
	}
	return nil
}

func (s *Service) createSnapshot(c *wire.Context, in *createSnapshot) (*snapshotOut, error) {
	v, err := s.volume(in.VolumeId)
	if err != nil {
		return nil, err
	}
	if err := checkTags(in.TagSpecification, "snapshot"); err != nil {
		return nil, err
	}
	if err := s.mayBeTaken(v); err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	n := &snapshot{ready: s.world.Now().Add(s.options.StartDelay), serial: s.world.Serial()}
	v.snapshotAt = s.world.Now()
	n.snapshotOut = snapshotOut{FullSnapshotSizeInBytes: v.Size << 29, SnapshotId: s.world.ID("snap"), VolumeId: v.VolumeId, Description: in.Description, OwnerId: s.world.Account, StorageTier: "standard", VolumeSize: v.Size, StartTime: s.world.Now(), Encrypted: v.Encrypted}
	s.snapshots[n.SnapshotId] = n
	s.tagNew(n.SnapshotId, "snapshot", in.TagSpecification)
	o := s.describeSnapshot(n)
	return &o, nil
}

func (s *Service) describeSnapshots(_ *wire.Context, in *describeSnapshots) (*snapshotsOut, error) {
	size, err := in.size(s.world, len(in.SnapshotId), 5, 1000)
	if err != nil {
		return nil, err
	}
	for _, id := range in.SnapshotId {
		if _, err := s.snapshot(id); err != nil {
			return nil, err
		}
	}
	var all []*snapshot
	for _, n := range s.snapshots {
		if s.world.Now().Before(n.StartTime.Add(s.options.ListLag)) {
			continue // not shown yet
		}
		o := s.describeSnapshot(n)
		ok, err := wire.Pass(in.Filter, s.tags[n.SnapshotId], func(name string) ([]string, bool) {
			return pick(name, map[string]string{"snapshot-id": o.SnapshotId, "volume-id": o.VolumeId, "status": o.Status, "owner-id": o.OwnerId, "description": o.Description,
				"volume-size": strconv.Itoa(o.VolumeSize), "encrypted": strconv.FormatBool(o.Encrypted), "start-time": o.StartTime.UTC().Format(time.RFC3339), "progress": o.Progress})
		})
		if err != nil {
			return nil, err
		}
		owned := len(in.Owner) == 0 || slices.Contains(in.Owner, "self") || slices.Contains(in.Owner, s.world.Account)
		if ok && owned && (len(in.SnapshotId) == 0 || slices.Contains(in.SnapshotId, n.SnapshotId)) {
			all = append(all, n)
		}
	}
	page, next, werr := wire.Page(all, func(n *snapshot) string { return n.serial }, "snapshots", in.NextToken, size)
	if werr != nil {
		return nil, werr
	}
	out := &snapshotsOut{NextToken: next}
	for _, n := range page {
		out.Snapshot = append(out.Snapshot, s.describeSnapshot(n))
	}
	return out, nil
}

func (s *Service) deleteSnapshot(c *wire.Context, in *snapshotID) (*done, error) {
	n, err := s.snapshot(in.SnapshotId)
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	delete(s.snapshots, n.SnapshotId)
	delete(s.tags, n.SnapshotId)
	return yes, nil
}
