package main

import (
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/rival"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/trace"
)

func TestPageHoldsEveryRow(t *testing.T) {
	page, err := write(t.Context(), 6*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range trace.Shapes() {
		if strings.Count(page, "### "+kind+"\n") != 2 {
			t.Errorf("%s is not there for both metrics", kind)
		}
	}
	for _, r := range rival.All() {
		if n := strings.Count(page, "\n| "+r.Name+" |"); n != 16 {
			t.Errorf("%d rows of %s", n, r.Name)
		}
	}
}
