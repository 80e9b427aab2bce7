package ec2

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
)

// metadata is IMDSv2: what is asked for without a token is refused.
func metadata(t *testing.T, says map[string]string) *Machine {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && r.URL.Path == "/latest/api/token" {
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "300")
			fmt.Fprint(w, "token")
			return
		}
		v, ok := says[strings.TrimPrefix(r.URL.Path, "/latest/meta-data/")]
		switch {
		case r.Header.Get("X-Aws-Ec2-Metadata-Token") != "token":
			w.WriteHeader(http.StatusUnauthorized)
		case !ok:
			w.WriteHeader(http.StatusNotFound)
		default:
			fmt.Fprint(w, v)
		}
	}))
	t.Cleanup(s.Close)
	return &Machine{client: imds.New(imds.Options{Endpoint: s.URL, EnableFallback: aws.FalseTernary})}
}

func TestIdentity(t *testing.T) {
	m := metadata(t, map[string]string{"instance-id": "i-1", "placement/availability-zone": "eu-west-1a", "local-ipv4": "10.0.0.1"})
	got, err := m.Identity(t.Context())
	if want := (Identity{"i-1", "eu-west-1a", "10.0.0.1"}); err != nil || got != want {
		t.Fatalf("got %v and error %v, want %v", got, err, want)
	}
}

func TestNotices(t *testing.T) {
	if got, err := metadata(t, nil).Notices(t.Context()); err != nil || len(got) != 0 {
		t.Fatalf("where nothing is announced: %v and error %v", got, err)
	}
	got, err := metadata(t, map[string]string{
		"spot/instance-action":             `{"action": "terminate", "time": "2026-09-18T08:22:00Z"}`,
		"events/recommendations/rebalance": `{"noticeTime": "2026-09-18T08:20:00Z"}`,
		"events/maintenance/scheduled": `[{"NotBefore":"21 Jan 2019 09:00:43 GMT","Code":"instance-retirement","Description":"old","State":"active"},
			{"NotBefore":"21 Jan 2019 09:00:43 GMT","Code":"system-reboot","Description":"[Completed] x","State":"completed"}]`,
	}).Notices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, n := range got {
		kinds = append(kinds, n.Kind)
	}
	if want := []string{"spot interruption", "rebalance recommendation", "retirement"}; !slices.Equal(kinds, want) {
		t.Fatalf("got %q, want %q", kinds, want)
	}
	if got[0].Before.Minute() != 22 || got[2].Before.Day() != 21 {
		t.Fatalf("got times %v and %v", got[0].Before, got[2].Before)
	}
}

func TestRebooting(t *testing.T) {
	for jobs, want := range map[string]bool{
		"":                                   false,
		"12 poweroff.target start waiting\n": false,
		"12 reboot.target start waiting\n":   true,
		"1 foo.service stop running\n2 reboot.target start waiting\n": true,
	} {
		m := &Machine{run: func(context.Context, string, ...string) (string, error) { return jobs, nil }}
		if got := m.Rebooting(t.Context()); got != want {
			t.Errorf("%q: got %v", jobs, got)
		}
	}
}

// disks is a machine whose disk vol-1 is a file; programs are the real ones that look, and record those that change.
func disks(t *testing.T, mounts string) (m *Machine, disk string, ran *[]string) {
	t.Helper()
	for _, p := range []string{"blkid", "wipefs", "mkfs.ext4"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("no disk tools: %s is not installed", p)
		}
	}
	root := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"dev/disk/by-id", "proc/self"} {
		must(os.MkdirAll(filepath.Join(root, d), 0o755))
	}
	disk = filepath.Join(root, "dev/nvme1n1")
	f, err := os.Create(disk)
	must(err)
	must(f.Truncate(16 << 20))
	must(f.Close())
	must(os.Symlink("../../nvme1n1", filepath.Join(root, "dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol1")))
	must(os.WriteFile(filepath.Join(root, "proc/self/mounts"), []byte(mounts), 0o644))
	ran = &[]string{}
	m = &Machine{root: root}
	m.run = func(ctx context.Context, name string, args ...string) (string, error) {
		if name == "mount" || name == "resize2fs" || name == "mkfs.ext4" {
			*ran = append(*ran, name)
		}
		if name == "mount" || name == "resize2fs" {
			return "", nil
		}
		for i, a := range args {
			if strings.HasPrefix(a, "/dev/") {
				args[i] = filepath.Join(root, a)
			}
		}
		out, err := exec.CommandContext(ctx, name, args...).Output()
		return string(out), err
	}
	return m, disk, ran
}

func TestMountBlankAndAgain(t *testing.T) {
	m, _, ran := disks(t, "")
	for _, want := range [][]string{{"mkfs.ext4", "mount", "resize2fs"}, {"mount", "resize2fs"}} {
		*ran = nil
		if err := m.Mount(t.Context(), "vol-1", "/data"); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(*ran, want) {
			t.Fatalf("ran %q, want %q", *ran, want)
		}
	}
}

// TestGrow: a disk that grew while it is used has its file system grown, once.
func TestGrow(t *testing.T) {
	m, _, ran := disks(t, "")
	size := filepath.Join(m.root, "sys/class/block/nvme1n1/size")
	if err := os.MkdirAll(filepath.Dir(size), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := m.Mount(t.Context(), "vol-1", "/data"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sectors string
		grew    bool
		runs    bool
	}{{"32768", false, true}, {"32768", false, false}, {"65536", true, true}, {"65536", false, false}} {
		if err := os.WriteFile(size, []byte(c.sectors+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		*ran = nil
		grew, err := m.Grow(t.Context(), "vol-1", "/data")
		if err != nil || grew != c.grew || slices.Contains(*ran, "resize2fs") != c.runs {
			t.Errorf("with %s sectors: grew %v, ran %q, error %v; want %v", c.sectors, grew, *ran, err, c.grew)
		}
	}
	if grew, err := m.Grow(t.Context(), "vol-2", "/data"); grew || err != nil {
		t.Errorf("a volume that is not there: %v, %v", grew, err)
	}
}

func TestMountSpares(t *testing.T) {
	for name, at := range map[string]int64{"at its start": 0, "within the first megabyte": 700_000} {
		m, disk, ran := disks(t, "")
		f, err := os.OpenFile(disk, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("somebody's data"), at); err != nil {
			t.Fatal(err)
		}
		f.Close()
		if err := m.Mount(t.Context(), "vol-1", "/data"); err == nil || len(*ran) > 0 {
			t.Errorf("a disk with data %s: ran %q, error %v", name, *ran, err)
		}
	}
	m, _, ran := disks(t, "/dev/nvme9n1 /data ext4 rw 0 0\n")
	if err := m.Mount(t.Context(), "vol-1", "/data"); err == nil || len(*ran) > 0 {
		t.Errorf("another disk is mounted there: ran %q, error %v", *ran, err)
	}
	m, _, ran = disks(t, "/dev/nvme1n1 /data ext4 rw 0 0\n")
	if err := exec.Command("mkfs.ext4", "-q", filepath.Join(m.root, "dev/nvme1n1")).Run(); err != nil {
		t.Fatal(err)
	}
	if err := m.Mount(t.Context(), "vol-1", "/data"); err != nil || !slices.Equal(*ran, []string{"resize2fs"}) {
		t.Errorf("mounted already: ran %q, error %v", *ran, err)
	}
}
