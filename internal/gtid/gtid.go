// Package gtid compares replication positions: MariaDB's domain-server-sequence lists and MySQL's sets of intervals by
// server UUID. It is pure, and knows nothing of servers. Start at Compare.
package gtid

import (
	"errors"
	"fmt"
)

// Flavours of a server, as state.DatabaseReport.Flavor.
const (
	MariaDB = "mariadb"
	MySQL   = "mysql"
)

// Order is how one position stands to another.
type Order int

// What Compare(a, b) says of a.
const (
	Behind   Order = iota - 1 // b holds everything that a holds, and more
	Equal                     // the same
	Ahead                     // a holds everything that b holds, and more
	Diverged                  // each holds what the other does not
)

func (o Order) String() string {
	switch o {
	case Behind:
		return "behind"
	case Equal:
		return "equal"
	case Ahead:
		return "ahead"
	}
	return "diverged"
}

// ErrMalformed is wrapped by every error about a position that cannot be read.
var ErrMalformed = errors.New("not a GTID position")

// Position is what has been executed, or received. The zero value of either kind is nothing.
type Position interface {
	// covers tells whether everything of other, of the same kind, is in it.
	covers(other Position) bool
	// missing counts the transactions of other that are not in it.
	missing(other Position) int64
	// merged is both together.
	merged(other Position) Position
	String() string
}

// Parse reads a position as the server of that flavour writes it; "" is nothing executed. An unknown or empty flavour is
// told by the text.
func Parse(flavor, text string) (Position, error) {
	switch {
	case flavor == MySQL, flavor != MariaDB && looksLikeSet(text):
		return parseSet(text)
	}
	return parseList(text)
}

func both(flavor, a, b string) (pa, pb Position, err error) {
	if flavor != MariaDB && flavor != MySQL && (looksLikeSet(a) || looksLikeSet(b)) {
		flavor = MySQL
	}
	if pa, err = Parse(flavor, a); err != nil {
		return nil, nil, err
	}
	pb, err = Parse(flavor, b)
	return pa, pb, err
}

// Compare tells how a stands to b. Errors wrap ErrMalformed.
func Compare(flavor, a, b string) (Order, error) {
	pa, pb, err := both(flavor, a, b)
	if err != nil {
		return Diverged, err
	}
	ab, ba := pa.covers(pb), pb.covers(pa)
	switch {
	case ab && ba:
		return Equal, nil
	case ab:
		return Ahead, nil
	case ba:
		return Behind, nil
	}
	return Diverged, nil
}

// Covers tells whether everything of b is in a.
func Covers(flavor, a, b string) (bool, error) {
	o, err := Compare(flavor, a, b)
	return err == nil && (o == Equal || o == Ahead), err
}

// Missing counts the transactions of wants that are not in has. Of MariaDB's positions, which name the last transaction
// only, it is the difference of the sequence numbers.
func Missing(flavor, has, wants string) (int64, error) {
	h, w, err := both(flavor, has, wants)
	if err != nil {
		return 0, err
	}
	return h.missing(w), nil
}

// Merge is what either holds. Of MariaDB's two last transactions of a domain with the same number the first one's server stays.
func Merge(flavor, a, b string) (string, error) {
	pa, pb, err := both(flavor, a, b)
	if err != nil {
		return "", err
	}
	return pa.merged(pb).String(), nil
}

func malformed(text, why string, args ...any) error {
	return fmt.Errorf("%w: %.80q: %s", ErrMalformed, text, fmt.Sprintf(why, args...))
}
