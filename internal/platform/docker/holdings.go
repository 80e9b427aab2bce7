package docker

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

// An engine's volumes have labels that never change, and no order to commit anything by but that a volume is there or is not. So what
// is copied becomes valid by a second, empty volume: a snapshot when its record comes into being, which bears what is known at the end
// (the moment, its size, or why it failed); an instance's volume when the mark goes that was made before it.

// holdings are the farm's volumes of every kind, as one listing shows them.
type holdings struct {
	volumes []platform.Volume        // of instances, by id: the whole ones
	marks   map[string]volume.Volume // by instance whose volume is not whole
	partial map[string]string        // by instance: the volume that is not whole, if it is there
	data    map[string]volume.Volume // by snapshot
	records map[string]volume.Volume // by snapshot
}

// snapshotID names the volume of a snapshot. The dots keep it apart from instances' volumes, whatever farms and roles are called.
func (d *Docker) snapshotID(name string) string {
	return "farmhand-" + d.farm.Name + ".snapshot." + name
}

func recordOf(id string) string { return id + ".record" }

// markOf names the mark on an instance's volume.
func (d *Docker) markOf(instance string) string {
	return "farmhand-" + d.farm.Name + ".filling." + instance
}

// holdings lists, in one call.
func (d *Docker) holdings(ctx context.Context, c *client.Client) (holdings, error) {
	h := holdings{
		marks: map[string]volume.Volume{}, partial: map[string]string{}, data: map[string]volume.Volume{}, records: map[string]volume.Volume{},
	}
	list, err := c.VolumeList(ctx, client.VolumeListOptions{Filters: d.mine()})
	if err != nil {
		return h, explain(err, "listing the volumes of farm "+d.farm.Name)
	}
	var instances []volume.Volume
	for _, v := range list.Items {
		l := v.Labels
		switch {
		case l[labelRecord] != "":
			h.records[l[labelSnapshot]] = v
		case l[labelSnapshot] != "":
			h.data[l[labelSnapshot]] = v
		case l[labelFilling] != "":
			h.marks[l[labelFilling]] = v
		default:
			instances = append(instances, v)
		}
	}
	for _, v := range instances {
		l := v.Labels
		// Only what was to be filled can be half-full, whatever marks there are.
		if _, marked := h.marks[l[labelInstance]]; marked && l[labelFrom] != "" {
			h.partial[l[labelInstance]] = v.Name
			continue
		}
		h.volumes = append(h.volumes, platform.Volume{ID: v.Name, Role: l[labelRole], Instance: l[labelInstance]})
	}
	slices.SortFunc(h.volumes, func(a, b platform.Volume) int { return strings.Compare(a.ID, b.ID) })
	return h, nil
}

// volumeOf is the id of an instance's volume, "" where there is none that is whole.
func (h holdings) volumeOf(instance string) string {
	for _, v := range h.volumes {
		if v.Instance == instance {
			return v.ID
		}
	}
	return ""
}

// whole tells that nothing is being made, and nothing was left half-made.
func (h holdings) whole() bool {
	for name := range h.data {
		if r, ok := h.records[name]; !ok || isFailed(r) {
			return false
		}
	}
	return len(h.marks) == 0
}

// snapshot is one by its name; false where there is none.
func (h holdings) snapshot(name string) (platform.Snapshot, bool) {
	data, begun := h.data[name]
	record, ended := h.records[name]
	if !begun && !ended {
		return platform.Snapshot{}, false
	}
	of := data
	if ended {
		of = record
	}
	l := of.Labels
	s := platform.Snapshot{ID: strings.TrimSuffix(of.Name, ".record"), Name: name, Role: l[labelRole], Instance: l[labelInstance], At: timeOf(of), State: platform.SnapshotPending, Text: copyingText}
	if ended {
		s.State, s.Text = platform.SnapshotState(l[labelRecord]), l[labelText]
		s.Bytes, _ = strconv.ParseInt(l[labelBytes], 10, 64)
	}
	if s.State == platform.SnapshotDone && !begun {
		s.State, s.Text = platform.SnapshotFailed, "its volume "+s.ID+" was removed from the engine: delete it, and take another"
	}
	return s, true
}

// snapshots are all of them, oldest first.
func (h holdings) snapshots() []platform.Snapshot {
	var all []platform.Snapshot
	for name := range h.records {
		s, _ := h.snapshot(name)
		all = append(all, s)
	}
	for name := range h.data {
		if _, ended := h.records[name]; !ended {
			s, _ := h.snapshot(name)
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b platform.Snapshot) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Name, b.Name)) })
	return all
}

func isFailed(record volume.Volume) bool {
	return record.Labels[labelRecord] == string(platform.SnapshotFailed)
}

// timeOf reads labelAt; the zero time where somebody made the volume by hand.
func timeOf(v volume.Volume) time.Time {
	at, _ := time.Parse(time.RFC3339Nano, v.Labels[labelAt])
	return at
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
