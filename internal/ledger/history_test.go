package ledger_test

import (
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/ledger"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/trace"
)

// TestHistory: what a ledger tells of the demand on a role is the demand that it lived through.
func TestHistory(t *testing.T) {
	m := &memory{}
	live(t, "daily", 5, 24*time.Hour, m.put)
	all, err := ledger.Last(t.Context(), m, "shop", "web", 0)
	if err != nil {
		t.Fatal(err)
	}
	points, err := ledger.History(all, "")
	if err != nil || len(points) < 24*60-10 {
		t.Fatalf("%d minutes of a day, %v", len(points), err)
	}
	for i := range points[1:] {
		if d := points[i+1].At.Sub(points[i].At); d < time.Minute || d%time.Minute != 0 {
			t.Fatalf("from %s to the next it is %s", points[i].At, d)
		}
	}
	shape := trace.Shape{Kind: "daily", Noise: 0.05, Length: 24 * time.Hour, Seed: 5, Low: 2, High: 12}
	r, err := shape.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	want, i, off, n := 0.0, 0, 0.0, 0
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		want += (p.Value - want) / 6 // about a minute's mean
		for i < len(points) && points[i].At.Before(p.At) {
			off += math.Abs(points[i].Demand-want) / want
			n++
			i++
		}
	}
	if off /= float64(n); off > 0.1 || n < 1000 {
		t.Errorf("over %d minutes it is %.0f %% off", n, 100*off)
	}
	for policy, says := range map[string]string{"morning": "has no policy", "nope": "it has load"} {
		if _, err := ledger.History(all, policy); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("policy %s: %v", policy, err)
		}
	}
	if points, err := ledger.History(nil, ""); points != nil || err != nil {
		t.Errorf("of nothing: %v, %v", points, err)
	}
}
