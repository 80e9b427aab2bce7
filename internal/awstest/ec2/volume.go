package ec2

import (
	"slices"
	"strconv"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

type attachment struct {
	VolumeId, InstanceId, Device, Status string
	AttachTime                           time.Time
	DeleteOnTermination                  bool
}

type volumeOut struct {
	VolumeId, AvailabilityZone, SnapshotId, Status, VolumeType, KmsKeyId string
	Size, Iops, Throughput                                               int
	CreateTime                                                           time.Time
	Encrypted, MultiAttachEnabled                                        bool
	Attachment                                                           []attachment
	Tag                                                                  []Tag
}

type volume struct {
	volumeOut
	attached     *attachment
	modified     *modification
	availableAt  time.Time
	serial       string
	lastModified time.Time
	snapshotAt   time.Time // of its last snapshot
}

type modification struct {
	VolumeId, ModificationState, OriginalVolumeType, TargetVolumeType                                  string
	OriginalSize, TargetSize, OriginalIops, TargetIops, OriginalThroughput, TargetThroughput, Progress int
	StartTime, EndTime                                                                                 time.Time
}

type (
	createVolume struct {
		AvailabilityZone, AvailabilityZoneId string
		ClientToken                          string
		Encrypted                            bool
		Iops, Size, Throughput               int
		KmsKeyId, SnapshotId, VolumeType     string
		MultiAttachEnabled                   bool
		TagSpecification                     []TagSpecification
		VolumeInitializationRate             int
	}
	describeVolumes struct {
		paged
		VolumeId []string
		Filter   []wire.Filter
	}
	attachVolume struct {
		Device     string `q:",required"`
		InstanceId string `q:",required"`
		VolumeId   string `q:",required"`
	}
	detachVolume struct {
		Device, InstanceId string
		VolumeId           string `q:",required"`
		Force              bool
	}
	volumeID struct {
		VolumeId string `q:",required"`
	}
	modifyVolume struct {
		VolumeId               string `q:",required"`
		Size, Iops, Throughput int
		VolumeType             string
		MultiAttachEnabled     *bool
	}
	describeModifications struct {
		paged
		VolumeId []string
		Filter   []wire.Filter
	}
	volumesOut struct {
		Volume    []volumeOut
		NextToken string
	}
	modifiedOut      struct{ VolumeModification modification }
	modificationsOut struct {
		Modification []modification `x:"volumeModificationSet"`
		NextToken    string
	}
)

func (s *Service) onVolumes() {
	wire.On(s.Query, "CreateVolume", s.createVolume)
	wire.On(s.Query, "DescribeVolumes", s.describeVolumes)
	wire.On(s.Query, "AttachVolume", s.attachVolume)
	wire.On(s.Query, "DetachVolume", s.detachVolume)
	wire.On(s.Query, "DeleteVolume", s.deleteVolume)
	wire.On(s.Query, "ModifyVolume", s.modifyVolume)
	wire.On(s.Query, "DescribeVolumesModifications", s.describeModifications)
}

// checkVolume holds a volume's size and speed against the documented bounds of its type ("" is gp2).
func checkVolume(kind string, size, iops, throughput int) error {
	bounds := map[string][2]int{"": {1, 16384}, "gp2": {1, 16384}, "gp3": {1, 65536}, "io1": {4, 16384}, "io2": {4, 65536}, "st1": {125, 16384}, "sc1": {125, 16384}, "standard": {1, 1024}}
	b, ok := bounds[kind]
	switch {
	case !ok:
		return wire.Errorf("InvalidParameterValue", "Value (%s) for parameter volumeType is invalid.", kind)
	case size < b[0] || size > b[1]:
		return wire.Errorf("InvalidParameterValue", "Volume of %dGiB is out of the bounds of %s (%d to %d)", size, kind, b[0], b[1])
	case iops != 0 && kind != "gp3" && kind != "io1" && kind != "io2":
		return wire.Errorf("InvalidParameterCombination", "The parameter iops is not supported for %s volumes.", kind)
	case throughput != 0 && kind != "gp3":
		return wire.Errorf("InvalidParameterCombination", "The parameter throughput is not supported for %s volumes.", kind)
	case iops == 0 && (kind == "io1" || kind == "io2"):
		return wire.Errorf("MissingParameter", "The request must contain the parameter iops for %s volumes.", kind)
	case kind == "gp3" && iops != 0 && iops < 3000:
		return wire.Errorf("InvalidParameterValue", "Volume iops of %d is too low; minimum is 3000.", iops)
	}
	return nil
}

// newVolume makes a volume that is there at once: what comes with an instance.
func (s *Service) newVolume(zone, kind string, size, iops, throughput int) *volume {
	set := func(to *int, v int) {
		if *to == 0 {
			*to = v
		}
	}
	switch kind {
	case "":
		kind = "gp2"
	case "gp3":
		set(&iops, 3000)
		set(&throughput, 125)
	}
	if kind == "gp2" {
		iops = min(max(3*size, 100), 16000)
	}
	v := &volume{serial: s.world.Serial(), availableAt: s.world.Now()}
	v.volumeOut = volumeOut{VolumeId: s.world.ID("vol"), AvailabilityZone: zone, VolumeType: kind, Size: size, Iops: iops, Throughput: throughput, CreateTime: s.world.Now()}
	s.volumes[v.VolumeId] = v
	return v
}

func (s *Service) volume(id string) (*volume, error) {
	if !wellFormed("vol", id) {
		return nil, wire.Errorf("InvalidParameterValue", "Value (%s) for parameter volumeId is invalid. Expected: 'vol-...'.", id)
	}
	s.settleAll()
	if v, ok := s.volumes[id]; ok {
		return v, nil
	}
	return nil, wire.Errorf("InvalidVolume.NotFound", "The volume '%s' does not exist.", id)
}

func (s *Service) status(v *volume) string {
	switch {
	case v.attached != nil:
		return "in-use"
	case s.world.Now().Before(v.availableAt):
		return "creating"
	}
	return "available"
}

func (s *Service) describeVolume(v *volume) volumeOut {
	o := v.volumeOut
	o.Status, o.Tag = s.status(v), s.tagsOf(v.VolumeId)
	if v.attached != nil {
		o.Attachment = []attachment{*v.attached}
	}
	return o
}

func (s *Service) createVolume(c *wire.Context, in *createVolume) (*volumeOut, error) {
	params := *in
	params.ClientToken = ""
	id, err := once(s, c, "CreateVolume", in.ClientToken, params, func() (string, error) {
		if !slices.Contains(s.world.Zones(), in.AvailabilityZone) {
			if in.AvailabilityZone == "" {
				return "", wire.Errorf("MissingParameter", "The request must contain the parameter zone")
			}
			return "", wire.Errorf("InvalidZone.NotFound", "The zone '%s' does not exist.", in.AvailabilityZone)
		}
		size := in.Size
		if in.SnapshotId != "" {
			snap, err := s.snapshot(in.SnapshotId)
			if err != nil {
				return "", err
			}
			if snap.status(s.world.Now()) != "completed" {
				return "", wire.Errorf("IncorrectState", "Snapshot is in an invalid state - %s", snap.status(s.world.Now()))
			}
			if size == 0 {
				size = snap.VolumeSize
			}
			if size < snap.VolumeSize {
				return "", wire.Errorf("InvalidParameterValue", "Volume of %dGiB is smaller than snapshot '%s'", size, in.SnapshotId)
			}
		}
		if size == 0 {
			return "", wire.Errorf("MissingParameter", "The request must contain the parameter size/snapshot")
		}
		if err := checkVolume(in.VolumeType, size, in.Iops, in.Throughput); err != nil {
			return "", err
		}
		if err := checkTags(in.TagSpecification, "volume"); err != nil {
			return "", err
		}
		if err := c.Commit(); err != nil {
			return "", err
		}
		v := s.newVolume(in.AvailabilityZone, in.VolumeType, size, in.Iops, in.Throughput)
		v.SnapshotId, v.Encrypted, v.KmsKeyId = in.SnapshotId, in.Encrypted, in.KmsKeyId
		v.availableAt = s.world.Now().Add(s.options.StartDelay)
		s.tagNew(v.VolumeId, "volume", in.TagSpecification)
		return v.VolumeId, nil
	})
	if err != nil {
		return nil, err
	}
	v, err := s.volume(id)
	if err != nil {
		return nil, err
	}
	out := s.describeVolume(v)
	return &out, nil
}

func (s *Service) describeVolumes(_ *wire.Context, in *describeVolumes) (*volumesOut, error) {
	size, err := in.size(s.world, len(in.VolumeId), 5, 1000)
	if err != nil {
		return nil, err
	}
	for _, id := range in.VolumeId {
		if _, err := s.volume(id); err != nil {
			return nil, err
		}
	}
	if _, err := wire.Pass(in.Filter, nil, func(name string) ([]string, bool) { return volumeField(volumeOut{}, name) }); err != nil {
		return nil, err
	}
	s.settleAll()
	var all []*volume
	for _, v := range s.volumes {
		o := s.describeVolume(v)
		ok, err := wire.Pass(in.Filter, s.tags[v.VolumeId], func(name string) ([]string, bool) { return volumeField(o, name) })
		if err != nil {
			return nil, err
		}
		if ok && (len(in.VolumeId) == 0 || slices.Contains(in.VolumeId, v.VolumeId)) {
			all = append(all, v)
		}
	}
	page, next, werr := wire.Page(all, func(v *volume) string { return v.serial }, "volumes", in.NextToken, size)
	if werr != nil {
		return nil, werr
	}
	out := &volumesOut{NextToken: next}
	for _, v := range page {
		out.Volume = append(out.Volume, s.describeVolume(v))
	}
	return out, nil
}

func volumeField(v volumeOut, name string) ([]string, bool) {
	a := attachment{}
	if len(v.Attachment) > 0 {
		a = v.Attachment[0]
	}
	return pick(name, map[string]string{"volume-id": v.VolumeId, "availability-zone": v.AvailabilityZone, "status": v.Status, "size": strconv.Itoa(v.Size),
		"snapshot-id": v.SnapshotId, "volume-type": v.VolumeType, "encrypted": strconv.FormatBool(v.Encrypted), "create-time": v.CreateTime.UTC().Format(time.RFC3339),
		"attachment.instance-id": a.InstanceId, "attachment.device": a.Device, "attachment.status": a.Status, "attachment.delete-on-termination": strconv.FormatBool(a.DeleteOnTermination)})
}

func (s *Service) attachVolume(c *wire.Context, in *attachVolume) (*attachment, error) {
	v, err := s.volume(in.VolumeId)
	if err != nil {
		return nil, err
	}
	found, err := s.find([]string{in.InstanceId})
	if err != nil {
		return nil, err
	}
	i := found[0]
	switch {
	case v.attached != nil:
		return nil, wire.Errorf("VolumeInUse", "%s is already attached to an instance", v.VolumeId)
	case s.status(v) != "available":
		return nil, wire.Errorf("IncorrectState", "%s is not 'available'.", v.VolumeId)
	case v.AvailabilityZone != i.Zone:
		return nil, wire.Errorf("InvalidVolume.ZoneMismatch", "The volume '%s' is not in the same availability zone as instance '%s'", v.VolumeId, i.ID)
	case i.State != "running" && i.State != "stopped":
		return nil, wire.Errorf("IncorrectState", "Instance '%s' is not 'running'.", i.ID)
	case i.devices[in.Device] != "":
		return nil, wire.Errorf("InvalidParameterValue", "Invalid value '%s' for unixDevice. Attachment point %s is already in use", in.Device, in.Device)
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	v.attached = &attachment{VolumeId: v.VolumeId, InstanceId: i.ID, Device: in.Device, Status: "attached", AttachTime: s.world.Now()}
	i.devices[in.Device] = v.VolumeId
	if s.backing != nil && i.State == "running" {
		v.attached.Status = "attaching"
		m := i.Machine()
		a := v.attached
		s.inBackground(i, func() { s.backing.Attach(m, v.VolumeId, in.Device) }, func() { a.Status = "attached" })
	}
	out := *v.attached
	out.Status = "attaching"
	return &out, nil
}

func (s *Service) detachVolume(c *wire.Context, in *detachVolume) (*attachment, error) {
	v, err := s.volume(in.VolumeId)
	if err != nil {
		return nil, err
	}
	a := v.attached
	if a == nil {
		return nil, wire.Errorf("IncorrectState", "Volume '%s' is in the 'available' state.", v.VolumeId)
	}
	if in.InstanceId != "" && in.InstanceId != a.InstanceId || in.Device != "" && in.Device != a.Device {
		return nil, wire.Errorf("InvalidAttachment.NotFound", "The volume '%s' is not attached to instance '%s' as device '%s'.", v.VolumeId, in.InstanceId, in.Device)
	}
	i := s.instances[a.InstanceId]
	if i != nil && a.Device == i.root && i.State != "stopped" {
		return nil, wire.Errorf("OperationNotPermitted", "Unable to detach root volume '%s' from instance '%s'", v.VolumeId, i.ID)
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	out := *a
	out.Status = "detaching"
	free := func() {
		v.attached = nil
		if i != nil {
			delete(i.devices, a.Device)
		}
	}
	if s.backing != nil && i != nil && i.State == "running" {
		a.Status = "detaching"
		m := i.Machine()
		s.inBackground(i, func() { s.backing.Detach(m, v.VolumeId) }, free)
		return &out, nil
	}
	free()
	return &out, nil
}

func (s *Service) deleteVolume(c *wire.Context, in *volumeID) (*done, error) {
	v, err := s.volume(in.VolumeId)
	if err != nil {
		return nil, err
	}
	if v.attached != nil {
		return nil, wire.Errorf("VolumeInUse", "Volume %s is currently attached to %s", v.VolumeId, v.attached.InstanceId)
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	delete(s.volumes, v.VolumeId)
	delete(s.tags, v.VolumeId)
	return yes, nil
}

func (s *Service) modifyVolume(c *wire.Context, in *modifyVolume) (*modifiedOut, error) {
	v, err := s.volume(in.VolumeId)
	if err != nil {
		return nil, err
	}
	now := s.world.Now()
	if !v.lastModified.IsZero() && now.Sub(v.lastModified) < 6*time.Hour {
		return nil, wire.Errorf("VolumeModificationRateExceeded", "You've reached the maximum modification rate per volume limit. Wait at least 6 hours between modifications per EBS volume.")
	}
	m := modification{VolumeId: v.VolumeId, ModificationState: "modifying", OriginalVolumeType: v.VolumeType, OriginalSize: v.Size, OriginalIops: v.Iops, OriginalThroughput: v.Throughput, StartTime: now,
		TargetVolumeType: v.VolumeType, TargetSize: v.Size, TargetIops: v.Iops, TargetThroughput: v.Throughput}
	set(&m.TargetVolumeType, in.VolumeType)
	for to, value := range map[*int]int{&m.TargetSize: in.Size, &m.TargetIops: in.Iops, &m.TargetThroughput: in.Throughput} {
		if value != 0 {
			*to = value
		}
	}
	if m.TargetSize < v.Size {
		return nil, wire.Errorf("InvalidParameterValue", "New size cannot be smaller than existing size")
	}
	if err := checkVolume(m.TargetVolumeType, m.TargetSize, in.Iops, in.Throughput); err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	v.VolumeType, v.Size, v.Iops, v.Throughput, v.lastModified = m.TargetVolumeType, m.TargetSize, m.TargetIops, m.TargetThroughput, now
	v.modified = &m
	return &modifiedOut{m}, nil
}

func (s *Service) describeModifications(_ *wire.Context, in *describeModifications) (*modificationsOut, error) {
	size, err := in.size(s.world, len(in.VolumeId), 1, 500)
	if err != nil {
		return nil, err
	}
	var all []modification
	for _, v := range s.volumes {
		if v.modified == nil || len(in.VolumeId) > 0 && !slices.Contains(in.VolumeId, v.VolumeId) {
			continue
		}
		m := *v.modified
		m.ModificationState, m.Progress, m.EndTime = "completed", 100, m.StartTime
		ok, err := wire.Pass(in.Filter, nil, func(name string) ([]string, bool) {
			return pick(name, map[string]string{"volume-id": m.VolumeId, "modification-state": m.ModificationState})
		})
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, m)
		}
	}
	page, next, werr := wire.Page(all, func(m modification) string { return m.VolumeId }, "modifications", in.NextToken, size)
	if werr != nil {
		return nil, werr
	}
	return &modificationsOut{page, next}, nil
}
