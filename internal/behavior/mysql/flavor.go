package mysql

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"text/template"

	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver"
)

// flavor is what differs between MariaDB and MySQL apart from what dbserver says to a server that runs: its configuration, its
// programs, and how its data is copied. An image decides which it is: see detect.
type flavor interface {
	// name is dbserver's.
	name() string
	// packages are those that are installed where the image lacks them.
	packages() []string
	configuration() *template.Template
	// bufferPoolMB is what of the server's memory goes to InnoDB's pages.
	bufferPoolMB(memoryMB int) int
	// check makes the server say whether it would take a configuration.
	check(ctx context.Context, r *runner, path string) error
	// install makes new data in dir, which is empty and the server's user's.
	install(ctx context.Context, r *runner, dir string) error
	// program is the server's, with its arguments. takenOver: another server was the primary after this data last was.
	program(config string, serverID uint32, takenOver bool) []string

	// mayGive refuses to give a clone away that would not come to its end.
	mayGive(r *runner) error
	// give writes the running server's data to w, take makes dir of that, and finish makes dir what a server starts on, and tells its
	// position, "" where the data does.
	give(ctx context.Context, r *runner, w io.Writer) error
	take(ctx context.Context, r *runner, dir string, from io.Reader) error
	finish(ctx context.Context, r *runner, dir string) (position string, err error)

	// backsUp is nil where backups can be taken and restored.
	backsUp() error
}

// detect finds out whose server the image has: MariaDB's where there is any choice, since that is what is installed. Debian calls
// MariaDB's program mysqld, too.
func detect() flavor {
	if _, err := exec.LookPath("mariadbd"); err == nil {
		return mariaDB{}
	}
	if _, err := exec.LookPath("mysqld"); err == nil {
		return mySQL{}
	}
	return mariaDB{}
}

// checkFlavor refuses data of the other one, on which a server would not start.
func checkFlavor(dir string, f flavor) error {
	has := dbserver.FlavorMariaDB
	if exists(filepath.Join(dir, "mysql.ibd")) { // where MySQL keeps what MariaDB has in files of each table
		has = dbserver.FlavorMySQL
	}
	if !exists(dir) || has == f.name() {
		return nil
	}
	return fmt.Errorf("the volume holds data of %s, and the image's server is of %s: go back to an image of the former, or give the role an empty volume", has, f.name())
}
