package mysql

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// installing marks a data directory whose first tables are being made. One that still has it is no database: its
// installation was cut short, and nobody ever wrote to it.
const installing = ".farmhand-installing"

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

// prepare makes dir ready for the server and calls install on an empty one. Data that is there is kept and given
// to who: on a volume it may come from an image in which the server's user had another number.
func prepare(dir string, who owner, install func() error) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	mark := filepath.Join(dir, installing)
	_, err := os.Lstat(mark)
	cutShort := err == nil
	if cutShort {
		if err := empty(dir); err != nil {
			return fmt.Errorf("clearing an installation that was cut short: %w", err)
		}
	}
	_, err = os.Lstat(filepath.Join(dir, "mysql"))
	switch {
	case err == nil:
		return own(dir, who)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("looking for data: %w", err)
	}
	if err := checkVacant(dir); err != nil {
		return err
	}
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		return fmt.Errorf("beginning the installation: %w", err)
	}
	if err := own(dir, who); err != nil {
		return err
	}
	if err := install(); err != nil {
		return err
	}
	if err := os.Remove(mark); err != nil {
		return fmt.Errorf("ending the installation: %w", err)
	}
	return nil
}

// checkVacant refuses a directory that holds something, but no database: it is somebody's, and not ours to write over.
func checkVacant(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("looking into the data directory: %w", err)
	}
	for _, e := range entries {
		if e.Name() != "lost+found" && e.Name() != installing {
			return fmt.Errorf("%s holds %q but no database (no folder mysql). Give the role an empty volume, or restore the data whole", dir, e.Name())
		}
	}
	return nil
}

// empty removes everything in dir, the mark last.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == installing || e.Name() == "lost+found" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return os.Remove(filepath.Join(dir, installing))
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
