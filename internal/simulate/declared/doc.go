// Package declared finds the role that is to be simulated where a module author has it: in a plan or state that
// `terraform show -json` printed, in the store of a farm that runs, or in a small file of its own.
package declared
