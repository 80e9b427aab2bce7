package docker

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// Output returns the last lines that the container printed, both streams as they came; none for an unknown id.
func (d *Docker) Output(ctx context.Context, id string, lines int) ([]string, error) {
	if id == "" || lines <= 0 {
		return nil, nil
	}
	doing := "reading the output of " + id
	c, err := d.client(ctx)
	if err != nil {
		return nil, err
	}
	_, ok, err := d.inspectMine(ctx, c, id)
	if err != nil || !ok {
		return nil, explain(err, doing)
	}
	logs, err := c.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: strconv.Itoa(lines)})
	if err != nil {
		return nil, explain(err, doing)
	}
	defer logs.Close()
	var both bytes.Buffer
	if _, err := stdcopy.StdCopy(&both, &both, logs); err != nil {
		return nil, explain(fmt.Errorf("unpacking the log: %w", err), doing)
	}
	text := strings.TrimRight(both.String(), "\n")
	if text == "" {
		return nil, nil
	}
	all := strings.Split(text, "\n")
	return all[max(0, len(all)-lines):], nil
}
