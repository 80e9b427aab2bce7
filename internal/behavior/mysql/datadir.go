package mysql

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/farmhand/terraform-provider-farmhand/internal/disk"
)

// What may lie on the volume, beside lost+found. The data is a folder of its own, so that a clone takes its place by two
// renames, whatever is cut short in between: see settle.
const (
	dataDir    = "data"
	partialDir = "partial"  // a clone or an installation under way: worth nothing
	readyDir   = "ready"    // a clone that is whole and takes the data's place
	adoptedDir = "adopting" // data of a version that kept it at the volume's top, on its way into dataDir
	asideDir   = "aside-"   // with a number: data that a clone replaced
)

// installing marked an installation under way in versions that kept data at the volume's top.
const installing = ".farmhand-installing"

// markName is the file in the data that holds its mark.
const markName = ".farmhand.json"

// mark is what is known of the data, kept with it.
type mark struct {
	// Instance is whose data it is: another one's is a copy that came with a snapshot. "" in what older versions wrote.
	Instance string `json:"instance,omitempty"`
	ServerID uint32 `json:"server_id"`
	// Cloned is the order that the data was cloned by, 0 for none: that order is not carried out twice.
	Cloned int64 `json:"cloned,omitempty"`
	// Seed tells that the server is still to be told Position, which the clone is of; "": the one that the data itself tells.
	Seed     bool   `json:"seed,omitempty"`
	Position string `json:"position,omitempty"`
	// Term is the last one in which this data was written to as the primary's, 0 for never.
	Term int64 `json:"term,omitempty"`
	// Restored is the task that restored it from a backup.
	Restored string `json:"restored,omitempty"`
}

// owner is the system user that the server runs as.
type owner struct{ uid, gid int }

func mysqlUser() (owner, error) {
	u, err := user.Lookup("mysql")
	if err != nil {
		return owner{}, fmt.Errorf("finding the server's system user: %w", err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	return owner{uid, gid}, errors.Join(err1, err2)
}

// volume is the folder that outlives instances.
type volume struct {
	dir   string
	owner owner
}

func (v volume) path(name string) string { return filepath.Join(v.dir, name) }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// settle finishes or undoes what was cut short, and gives the data to the server's user: on a volume it may come from an
// image in which that had another number. It is called before a server runs.
func (v volume) settle() error {
	if err := os.MkdirAll(v.dir, 0o755); err != nil {
		return fmt.Errorf("making the volume's folder: %w", err)
	}
	if err := os.RemoveAll(v.path(partialDir)); err != nil {
		return fmt.Errorf("removing what was cut short: %w", err)
	}
	if err := os.RemoveAll(v.path(drillDir)); err != nil {
		return fmt.Errorf("removing a drill that was cut short: %w", err)
	}
	if err := os.RemoveAll(v.path(givenDir)); err != nil {
		return fmt.Errorf("removing a copy whose sending was cut short: %w", err)
	}
	if exists(v.path(readyDir)) {
		if err := v.swap(); err != nil {
			return err
		}
	}
	if err := v.adopt(); err != nil {
		return err
	}
	if !exists(v.path(dataDir)) {
		return v.checkVacant()
	}
	return own(v.path(dataDir), v.owner)
}

// swap puts the clone in the data's place. The data of before is kept, and what was kept before that removed: one is
// enough for a person to look into.
func (v volume) swap() error {
	if exists(v.path(dataDir)) {
		kept, err := v.aside()
		if err != nil {
			return err
		}
		if err := os.Rename(v.path(dataDir), v.path(asideDir+strconv.Itoa(number(kept)+1))); err != nil {
			return fmt.Errorf("putting replaced data aside: %w", err)
		}
		for _, name := range kept {
			if err := os.RemoveAll(v.path(name)); err != nil {
				return fmt.Errorf("removing data that was replaced before: %w", err)
			}
		}
	}
	if err := os.Rename(v.path(readyDir), v.path(dataDir)); err != nil {
		return fmt.Errorf("putting a clone in place: %w", err)
	}
	return nil
}

// aside are the folders of data that clones replaced.
func (v volume) aside() ([]string, error) {
	entries, err := os.ReadDir(v.dir)
	if err != nil {
		return nil, fmt.Errorf("looking into the volume: %w", err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), asideDir) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// number is the greatest of the folders put aside.
func number(names []string) int {
	most := 0
	for _, name := range names {
		n, _ := strconv.Atoi(strings.TrimPrefix(name, asideDir))
		most = max(most, n)
	}
	return most
}

// adopt moves data of an earlier version, at the volume's top, to where it is now.
func (v volume) adopt() error {
	if exists(v.path(installing)) {
		// Never finished there, so nobody ever wrote to it.
		if err := v.empty(); err != nil {
			return fmt.Errorf("clearing an installation that was cut short: %w", err)
		}
		return nil
	}
	if !exists(v.path("mysql")) && !exists(v.path(adoptedDir)) || exists(v.path(dataDir)) {
		return nil
	}
	entries, err := os.ReadDir(v.dir)
	if err != nil {
		return fmt.Errorf("looking into the volume: %w", err)
	}
	// Databases of nobody: Debian's package makes these where a volume is mounted before it is installed.
	theirs := !exists(v.path(adoptedDir))
	for _, e := range entries {
		if e.IsDir() && !slices.Contains([]string{"mysql", "performance_schema", "sys", "test", "lost+found"}, e.Name()) {
			theirs = false
		}
	}
	into := adoptedDir
	if theirs {
		into = asideDir + "package"
	}
	if err := os.MkdirAll(v.path(into), 0o750); err != nil {
		return fmt.Errorf("taking data over: %w", err)
	}
	// "mysql" last: while it is there, this is done again.
	move := func(name string) error { return os.Rename(v.path(name), filepath.Join(v.path(into), name)) }
	for _, e := range entries {
		switch name := e.Name(); {
		case name == "lost+found", name == "mysql", name == adoptedDir, strings.HasPrefix(name, asideDir):
		default:
			if err := move(name); err != nil {
				return fmt.Errorf("taking data over: %w", err)
			}
		}
	}
	if exists(v.path("mysql")) {
		if err := move("mysql"); err != nil {
			return fmt.Errorf("taking data over: %w", err)
		}
	}
	if theirs {
		return nil
	}
	if err := os.Rename(v.path(adoptedDir), v.path(dataDir)); err != nil {
		return fmt.Errorf("taking data over: %w", err)
	}
	return nil
}

// checkVacant refuses a volume that holds something, but no database: it is somebody's, and not ours to write over.
func (v volume) checkVacant() error {
	entries, err := os.ReadDir(v.dir)
	if err != nil {
		return fmt.Errorf("looking into the volume: %w", err)
	}
	for _, e := range entries {
		if e.Name() != "lost+found" && !strings.HasPrefix(e.Name(), asideDir) {
			return fmt.Errorf("%s holds %q but no database (no folder mysql). Give the role an empty volume, or restore the data whole", v.dir, e.Name())
		}
	}
	return nil
}

// empty removes everything at the volume's top, the mark last.
func (v volume) empty() error {
	entries, err := os.ReadDir(v.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == installing || e.Name() == "lost+found" {
			continue
		}
		if err := os.RemoveAll(v.path(e.Name())); err != nil {
			return err
		}
	}
	return os.Remove(v.path(installing))
}

// readMark is the mark of the data in dir, the zero value if it has none.
func readMark(dir string) mark {
	var m mark
	if b, err := os.ReadFile(filepath.Join(dir, markName)); err == nil {
		_ = json.Unmarshal(b, &m)
	}
	return m
}

func writeMark(dir string, m mark) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, markName)
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("noting what the data is: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("noting what the data is: %w", err)
	}
	return nil
}

// own gives dir and what is in it to who, if dir is not who's already.
func own(dir string, who owner) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("giving the data directory to the server: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if ok && int(st.Uid) == who.uid && int(st.Gid) == who.gid {
		return nil
	}
	// The top last: if this is cut short, the next one does it again.
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		return os.Lchown(path, who.uid, who.gid)
	})
	if err == nil {
		err = os.Chown(dir, who.uid, who.gid)
	}
	if err != nil {
		return fmt.Errorf("giving the data directory to the server: %w", err)
	}
	return nil
}

// free is the room on the volume, in bytes.
func (v volume) free() int64 {
	var s syscall.Statfs_t
	if syscall.Statfs(v.dir, &s) != nil {
		return 1<<63 - 1
	}
	return int64(s.Bavail) * s.Bsize
}

// used is the share of the volume's file system that is in use.
func (v volume) used() float64 { return disk.Used(v.dir) }

// size is what the data takes on the disk, in bytes.
func (v volume) size() int64 { return v.measure(func(string) bool { return true }) }

// tables is size without the binary logs and what was received.
func (v volume) tables() int64 {
	return v.measure(func(name string) bool { return !strings.HasPrefix(name, "bin.") && !strings.HasPrefix(name, "relay.") })
}

func (v volume) measure(counts func(name string) bool) int64 {
	var n int64
	_ = filepath.WalkDir(v.path(dataDir), func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !counts(e.Name()) {
			return nil //nolint:nilerr // files come and go
		}
		if info, err := e.Info(); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				n += st.Blocks * 512
			}
		}
		return nil
	})
	return n
}
