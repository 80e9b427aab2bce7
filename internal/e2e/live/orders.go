package live

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Orders are clients that place orders at a shop's page, one after the other, and remember what they were told: the application's own
// view of a database that is lost and comes back.
type Orders struct {
	address string
	stop    context.CancelFunc
	done    sync.WaitGroup

	mu    sync.Mutex
	taken map[string]time.Time // by customer: when the shop said yes
	wrong []OrderError
}

// OrderError is an order that the shop did not take.
type OrderError struct {
	At       time.Time
	Customer string
	What     string
}

// PlaceOrders begins to place orders at the page with n clients, each with a pause between two.
func PlaceOrders(ctx context.Context, address string, n int, pause time.Duration) *Orders {
	ctx, cancel := context.WithCancel(ctx)
	o := &Orders{address: address, stop: cancel, taken: map[string]time.Time{}}
	for client := range n {
		o.done.Go(func() {
			tick := time.NewTicker(pause)
			defer tick.Stop()
			for i := 0; ctx.Err() == nil; i++ {
				o.place(ctx, fmt.Sprintf("client %d order %d", client, i))
				select {
				case <-ctx.Done():
				case <-tick.C:
				}
			}
		})
	}
	return o
}

func (o *Orders) place(ctx context.Context, customer string) {
	// To its end also when the clients are told to stop: what was sent has an outcome.
	page, err := Post(context.WithoutCancel(ctx), o.address, url.Values{"customer": {customer}, "item": {"tea"}})
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err != nil:
		o.wrong = append(o.wrong, OrderError{time.Now(), customer, err.Error()})
	case page.Status != http.StatusSeeOther:
		o.wrong = append(o.wrong, OrderError{time.Now(), customer, fmt.Sprintf("status %d: %.200s", page.Status, page.Body)})
	default:
		o.taken[customer] = time.Now()
	}
}

// Stop ends the clients.
func (o *Orders) Stop() { o.stop(); o.done.Wait() }

// Taken counts the orders that were taken since a moment.
func (o *Orders) Taken(since time.Time) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, at := range o.taken {
		if at.After(since) {
			n++
		}
	}
	return n
}

// Customers are those whose order was taken.
func (o *Orders) Customers() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []string
	for c := range o.taken {
		all = append(all, c)
	}
	return all
}

// Errors are the orders that were not taken since a moment.
func (o *Orders) Errors(since time.Time) []OrderError {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []OrderError
	for _, e := range o.wrong {
		if e.At.After(since) {
			all = append(all, e)
		}
	}
	return all
}

// Gap is the longest time since a moment in which no order was taken.
func (o *Orders) Gap(since time.Time) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	var times []time.Time
	for _, at := range o.taken {
		times = append(times, at)
	}
	return longestGap(times, since)
}
