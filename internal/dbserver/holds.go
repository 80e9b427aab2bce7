package dbserver

import "strings"

// Holds tells whether position holds all that other does, as far as can be told without asking a server: of MariaDB's
// positions always, of MySQL's sets only if they are the same.
func Holds(position, other string) bool {
	if strings.Contains(other, ":") {
		return position == other
	}
	return !beyond(other, position)
}
