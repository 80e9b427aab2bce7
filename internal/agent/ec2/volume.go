package ec2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// deviceTime bounds the wait for a volume to be attached: AWS does it in seconds, and after a stop of its former
	// instance, that may hang, in minutes.
	deviceTime = 10 * time.Minute
	lookEvery  = 500 * time.Millisecond
	// blankBytes are read of a disk that shows no signature before anything is written to it: a new EBS volume is all zeros.
	blankBytes = 1 << 20
)

// Mount mounts the EBS volume at path: waits for its disk, makes a file system (ext4) if it is blank, and makes an existing
// one as large as the disk. It never writes to a disk that holds something it does not know. Calling it again is harmless.
func (m *Machine) Mount(ctx context.Context, volume, path string) error {
	if err := m.mount(ctx, volume, path); err != nil {
		return fmt.Errorf("mounting volume %s at %s: %w", volume, path, err)
	}
	return nil
}

func (m *Machine) mount(ctx context.Context, volume, path string) error {
	disk, err := m.awaitDisk(ctx, volume)
	if err != nil {
		return err
	}
	at, err := m.mountedAt(path)
	if err != nil {
		return err
	}
	if at != "" && at != disk {
		return fmt.Errorf("%s is mounted there already, and the volume's disk is %s: unmount it", at, disk)
	}
	if at == "" {
		fresh, err := m.ensureFileSystem(ctx, disk)
		if err != nil {
			return err
		}
		where := filepath.Join(m.root, path)
		if err := os.MkdirAll(where, 0o755); err != nil {
			return err
		}
		if err := m.do(ctx, "mount", "-o", "noatime", disk, path); err != nil {
			return err
		}
		if fresh {
			// ext4's own folder would pass for data: a database server wants its directory empty. It is made anew when needed.
			_ = os.Remove(filepath.Join(where, "lost+found"))
		}
	}
	return m.grow(ctx, disk, path)
}

// Grow makes the file system of a mounted volume as large as its disk, if that has grown since it was last looked at; grew tells.
func (m *Machine) Grow(ctx context.Context, volume, path string) (grew bool, err error) {
	disk := m.disk(volume)
	if disk == "" {
		return false, nil
	}
	target, err := filepath.EvalSymlinks(filepath.Join(m.root, disk))
	if err != nil {
		return false, err
	}
	sectors, err := os.ReadFile(filepath.Join(m.root, "sys/class/block", filepath.Base(target), "size"))
	if err != nil {
		return false, fmt.Errorf("looking at the size of volume %s: %w", volume, err)
	}
	size := strings.TrimSpace(string(sectors))
	m.mu.Lock()
	former := m.sizes[volume]
	m.mu.Unlock()
	if size == former {
		return false, nil
	}
	// At the first look, too, which does nothing but where the disk grew since Mount.
	if err := m.grow(ctx, disk, path); err != nil {
		return false, fmt.Errorf("growing the file system of volume %s: %w", volume, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sizes == nil {
		m.sizes = map[string]string{}
	}
	m.sizes[volume] = size
	return former != "", nil
}

// awaitDisk returns the volume's disk, its links followed.
func (m *Machine) awaitDisk(ctx context.Context, volume string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, deviceTime, fmt.Errorf("no disk of it appeared within %s: see whether it is attached to this instance", deviceTime))
	defer cancel()
	for {
		if disk := m.disk(volume); disk != "" {
			return disk, nil
		}
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-time.After(lookEvery):
		}
	}
}

// disk finds a volume's disk: by udev's link, by the serial number that EBS gives an NVMe disk, and, on instances of before
// Nitro, by the name under which the platform attaches data volumes.
// https://docs.aws.amazon.com/ebs/latest/userguide/identify-nvme-ebs-device.html
func (m *Machine) disk(volume string) string {
	serial := strings.ReplaceAll(volume, "-", "")
	link := filepath.Join(m.root, "dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_"+serial)
	if target, err := filepath.EvalSymlinks(link); err == nil {
		return m.within(target)
	}
	disks, _ := filepath.Glob(filepath.Join(m.root, "sys/block/nvme*n*"))
	for _, d := range disks {
		if got, err := os.ReadFile(filepath.Join(d, "device/serial")); err == nil && strings.TrimSpace(string(got)) == serial {
			return "/dev/" + filepath.Base(d)
		}
	}
	if len(disks) > 0 {
		return "" // on Nitro, names say nothing
	}
	for _, name := range []string{"/dev/xvdf", "/dev/sdf"} {
		if target, err := filepath.EvalSymlinks(filepath.Join(m.root, name)); err == nil {
			return m.within(target)
		}
	}
	return ""
}

// within is a path as seen below the root.
func (m *Machine) within(path string) string {
	if rest, err := filepath.Rel(m.root, path); err == nil && !strings.HasPrefix(rest, "..") {
		return "/" + rest
	}
	return path
}

// mountedAt is what is mounted at a path, "" for nothing.
func (m *Machine) mountedAt(path string) (string, error) {
	mounts, err := os.ReadFile(filepath.Join(m.root, "proc/self/mounts"))
	if err != nil {
		return "", err
	}
	source := ""
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 2 && f[1] == filepath.Clean(path) {
			source = f[0] // the last one is on top
		}
	}
	return source, nil
}

// ensureFileSystem makes one on a blank disk. fresh tells that it did.
func (m *Machine) ensureFileSystem(ctx context.Context, disk string) (fresh bool, err error) {
	// blkid says 2 of a disk in which it finds nothing, and prints what it finds.
	found, err := m.run(ctx, "blkid", "-p", "-o", "export", disk)
	var exit *exec.ExitError
	switch {
	case err == nil && value(found, "USAGE") == "filesystem":
		return false, nil
	case err == nil:
		return false, fmt.Errorf("%s holds no file system but %s: farmhand leaves it as it is; empty the disk or use another", disk, strings.Join(strings.Fields(found), " "))
	case !errors.As(err, &exit) || exit.ExitCode() != 2:
		return false, fmt.Errorf("looking at %s with blkid: %w", disk, err)
	}
	signatures, err := m.run(ctx, "wipefs", "--noheadings", disk)
	if err != nil {
		return false, fmt.Errorf("looking at %s with wipefs: %w", disk, err)
	}
	blank, err := m.blank(disk)
	if err != nil {
		return false, err
	}
	if strings.TrimSpace(signatures) != "" || !blank {
		return false, fmt.Errorf("%s holds something, and no file system that is known: farmhand leaves it as it is; if it is nothing, clear it with: blkdiscard -z %s", disk, disk)
	}
	return true, m.do(ctx, "mkfs.ext4", "-q", disk)
}

func value(export, name string) string {
	for line := range strings.Lines(export) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return v
		}
	}
	return ""
}

// blank tells whether the disk begins with nothing but zeros.
func (m *Machine) blank(disk string) (bool, error) {
	f, err := os.Open(filepath.Join(m.root, disk))
	if err != nil {
		return false, err
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, blankBytes))
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", disk, err)
	}
	return len(bytes.Trim(head, "\x00")) == 0, nil
}

// grow makes the file system as large as its disk, which does nothing if it is.
func (m *Machine) grow(ctx context.Context, disk, path string) error {
	found, err := m.run(ctx, "blkid", "-p", "-o", "value", "-s", "TYPE", disk)
	if err != nil {
		return fmt.Errorf("looking at %s with blkid: %w", disk, err)
	}
	switch kind := strings.TrimSpace(found); kind {
	case "ext2", "ext3", "ext4":
		return m.do(ctx, "resize2fs", disk)
	case "xfs":
		return m.do(ctx, "xfs_growfs", path)
	}
	return nil
}

// do runs a program, whose last words are in the error.
func (m *Machine) do(ctx context.Context, name string, args ...string) error {
	_, err := m.run(ctx, name, args...)
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
