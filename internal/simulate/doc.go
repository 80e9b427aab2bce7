// Package simulate tries a role's policies out on a trace before they run: the same engine as the sidecar's in virtual
// time, and beside it, if asked, the algorithms of the field.
//
// It refuses to know anything of scaling itself. Traces are in trace, the virtual servers in world, the others'
// algorithms in rival, the role as declared in declared, and what is printed in report. Start at Run.
package simulate
