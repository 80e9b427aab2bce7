// Package disk tells how full a file system is.
package disk

import "syscall"

// Used is the share of a path's file system that is in use, 0..1, as df counts: what is kept for root counts as not there. 0 where it
// cannot be known.
func Used(path string) float64 {
	var s syscall.Statfs_t
	if syscall.Statfs(path, &s) != nil {
		return 0
	}
	used := s.Blocks - s.Bfree
	if used+s.Bavail == 0 {
		return 0
	}
	return float64(used) / float64(used+s.Bavail)
}
