// Package trace is demand over time: read from a CSV file or from an export of CloudWatch or Prometheus, or made by a
// seeded generator of the shapes that autoscalers meet.
//
// A trace is streamed, never held: ten million rows cost no more memory than ten. What cannot be true (a row out of
// order, twice the same time, a hole, a value that is no number) is an error that names the line and the way out.
// Start at Source and Open.
package trace
