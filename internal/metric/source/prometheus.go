package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// prometheusAnswer is that of /api/v1/query.
type prometheusAnswer struct {
	Status    string `json:"status"`
	ErrorType string `json:"errorType"`
	Error     string `json:"error"`
	Data      struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	} `json:"data"`
}

// askPrometheus makes an instant query, as of now.
func askPrometheus(ctx context.Context, m spec.PrometheusMetric, token string, now time.Time) (float64, error) {
	address := strings.TrimRight(m.URL, "/") + "/api/v1/query?" + url.Values{
		"query": {m.Query},
		"time":  {now.UTC().Format(time.RFC3339Nano)},
	}.Encode()
	body, err := get(ctx, address, token)
	var status *statusError
	if err != nil && !errors.As(err, &status) {
		return 0, err
	}
	var a prometheusAnswer
	if json.Unmarshal(body, &a) != nil || a.Status == "" {
		if err != nil {
			return 0, err
		}
		return 0, fmt.Errorf("the answer %s is not Prometheus'", short(string(body)))
	}
	if a.Status != "success" {
		return 0, fmt.Errorf("Prometheus refuses the query (%s): %s", a.ErrorType, a.Error)
	}
	return a.value()
}

// value is the one that the result holds, a scalar or a vector of one series.
func (a prometheusAnswer) value() (float64, error) {
	type sample [2]any // time, value as text
	var one sample
	switch a.Data.ResultType {
	case "scalar":
		if err := json.Unmarshal(a.Data.Result, &one); err != nil {
			return 0, fmt.Errorf("Prometheus' answer cannot be read: %w", err)
		}
	case "vector":
		var series []struct {
			Value sample `json:"value"`
		}
		if err := json.Unmarshal(a.Data.Result, &series); err != nil {
			return 0, fmt.Errorf("Prometheus' answer cannot be read: %w", err)
		}
		switch len(series) {
		case 0:
			return 0, errors.New("the query gives no value")
		case 1:
			one = series[0].Value
		default:
			return 0, fmt.Errorf("the query gives %d values, and one is needed: make one of them, by sum() or max()", len(series))
		}
	default:
		return 0, fmt.Errorf("the query gives a %s, and one value is needed", a.Data.ResultType)
	}
	text, ok := one[1].(string)
	if !ok {
		return 0, errors.New("Prometheus' answer holds no value")
	}
	return number(text)
}
