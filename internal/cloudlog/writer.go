// Package cloudlog sends lines of a log to a stream of CloudWatch Logs. Whoever logs never waits for it, and it never makes them fail.
package cloudlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

const (
	// every is how often lines are sent.
	every = 2 * time.Second
	// retryEvery is how often lines that were not taken are sent again.
	retryEvery = 30 * time.Second
	// Limits of a PutLogEvents call: events, bytes, and what each event counts beside its bytes.
	// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
	maxEvents = 10_000
	maxBytes  = 1 << 20
	perEvent  = 26
	// maxLine is the longest event; the rest of a line is cut off.
	maxLine = 256<<10 - perEvent
	// maxWaiting is how many bytes wait while the service takes none; what comes then is dropped and counted.
	maxWaiting = 4 << 20
)

// Options of Start.
type Options struct {
	Config func(context.Context) (aws.Config, error) // asked until it succeeds
	Group  string                                    // must exist
	Stream string                                    // made if it is not there
	// Trouble is told the first time that lines are not taken, and when they are again (nil). It must not log into the Writer.
	Trouble func(error)
	Now     func() time.Time // nil: time.Now
}

// Writer takes whole lines, one or several in a Write. Safe for concurrent use.
type Writer struct {
	o       Options
	ctx     context.Context
	cancel  context.CancelFunc
	done    chan struct{}
	client  *cloudwatchlogs.Client
	stream  bool // it is there
	failing bool

	mu      sync.Mutex
	waiting []types.InputLogEvent // in order of their time
	bytes   int
	dropped int
}

// Start returns a Writer that sends until Close.
func Start(o Options) *Writer {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Trouble == nil {
		o.Trouble = func(error) {}
	}
	w := &Writer{o: o, done: make(chan struct{})}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	go w.run()
	return w
}

// Write implements io.Writer. It always succeeds.
func (w *Writer) Write(p []byte) (int, error) {
	now := w.o.Now().UnixMilli()
	w.mu.Lock()
	defer w.mu.Unlock()
	for line := range bytes.Lines(p) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			continue // the service takes no empty event
		}
		line = line[:min(len(line), maxLine)]
		if w.bytes+len(line)+perEvent > maxWaiting {
			w.dropped++
			continue
		}
		w.waiting = append(w.waiting, types.InputLogEvent{Message: aws.String(string(bytes.ToValidUTF8(line, []byte("?")))), Timestamp: &now})
		w.bytes += len(line) + perEvent
	}
	return len(p), nil
}

// Close sends what waits, as far as ctx allows, and ends the Writer.
func (w *Writer) Close(ctx context.Context) error {
	w.cancel()
	<-w.done
	for {
		n, err := w.send(ctx)
		if n == 0 || err != nil {
			return err
		}
	}
}

func (w *Writer) run() {
	defer close(w.done)
	wait := every
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = every
		for {
			n, err := w.send(w.ctx)
			if err != nil && w.ctx.Err() == nil {
				wait = retryEvery
				if !w.failing {
					w.failing = true
					w.o.Trouble(err)
				}
			}
			if err == nil && n > 0 && w.failing {
				w.failing = false
				w.o.Trouble(nil)
			}
			if n == 0 || err != nil {
				break
			}
		}
	}
}

// send sends one call's worth of lines, and returns how many. What is not taken goes on waiting.
func (w *Writer) send(ctx context.Context) (n int, err error) {
	batch, size := w.batch()
	if len(batch) == 0 {
		return 0, nil
	}
	if err := w.open(ctx); err != nil {
		return 0, err
	}
	_, err = w.client.PutLogEvents(ctx, &cloudwatchlogs.PutLogEventsInput{LogGroupName: &w.o.Group, LogStreamName: &w.o.Stream, LogEvents: batch})
	if err != nil {
		var gone *types.ResourceNotFoundException
		if errors.As(err, &gone) {
			w.stream = false
		}
		return 0, fmt.Errorf("writing to log group %s: %w", w.o.Group, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = w.waiting[len(batch):]
	w.bytes -= size
	return len(batch), nil
}

// batch is what one call takes of what waits, with a word on what was dropped.
func (w *Writer) batch() (batch []types.InputLogEvent, size int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dropped > 0 && w.bytes+perEvent+100 < maxWaiting {
		text := fmt.Sprintf("%d lines of this log were dropped: CloudWatch Logs took none for a while", w.dropped)
		now := w.o.Now().UnixMilli()
		w.waiting = append(w.waiting, types.InputLogEvent{Message: &text, Timestamp: &now})
		w.bytes += len(text) + perEvent
		w.dropped = 0
	}
	for i, e := range w.waiting {
		cost := len(aws.ToString(e.Message)) + perEvent
		if i == maxEvents || size+cost > maxBytes {
			return w.waiting[:i:i], size
		}
		size += cost
	}
	return w.waiting[:len(w.waiting):len(w.waiting)], size
}

// open makes the stream. The group is made by whoever named it, with the retention that they want.
func (w *Writer) open(ctx context.Context) error {
	if w.client == nil {
		cfg, err := w.o.Config(ctx)
		if err != nil {
			return err
		}
		w.client = cloudwatchlogs.NewFromConfig(cfg)
	}
	if w.stream {
		return nil
	}
	_, err := w.client.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &w.o.Group, LogStreamName: &w.o.Stream})
	var there *types.ResourceAlreadyExistsException
	if err != nil && !errors.As(err, &there) {
		return fmt.Errorf("making stream %s of log group %s: %w", w.o.Stream, w.o.Group, err)
	}
	w.stream = true
	return nil
}
