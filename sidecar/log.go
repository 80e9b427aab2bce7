package sidecar

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/cloudlog"
)

// logTo is where the sidecar's log goes: out, and the log group if one is named, in a stream for this host. Trouble with the group is said
// on out alone.
func logTo(out io.Writer, group, sidecar string) (_ io.Writer, closeLog func()) {
	if group == "" {
		return out, func() {}
	}
	host, _ := os.Hostname()
	w := cloudlog.Start(cloudlog.Options{
		Config: cloudConfig, Group: group, Stream: cmp.Or(sidecar, "sidecar") + "/" + cmp.Or(host, fmt.Sprint(os.Getpid())),
		Trouble: func(err error) {
			if err == nil {
				fmt.Fprintln(out, "farmhand: CloudWatch Logs takes the log again")
				return
			}
			fmt.Fprintln(out, "farmhand: CloudWatch Logs does not take the log; it goes on here alone:", err)
		},
	})
	return io.MultiWriter(out, w), func() {
		const patience = 5 * time.Second
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = w.Close(ctx) // it was told as trouble, or is too late to be
	}
}
