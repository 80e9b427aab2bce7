package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/tidwall/gjson"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// mostAnswer is read of an answer; what is longer is not meant for this.
const mostAnswer = 1 << 20

// get asks url. The token goes to that host only, which net/http sees to when it follows redirects.
func get(ctx context.Context, address, token string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "farmhand")
	req.Header.Set("Accept", "application/json, text/plain;q=0.9, */*;q=0.1")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		var of *url.Error
		if errors.As(err, &of) {
			err = of.Err // without the address, whose query may hold a key
		}
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, fmt.Errorf("asking %s: %w", req.URL.Host, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("asking %s: %w", req.URL.Host, err)
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return body, &statusError{req.URL.Host, resp.Status}
	case len(body) > mostAnswer:
		return nil, fmt.Errorf("asking %s: the answer is longer than %d bytes", req.URL.Host, mostAnswer)
	}
	return body, nil
}

type statusError struct{ host, status string }

func (e *statusError) Error() string { return fmt.Sprintf("asking %s: status %s", e.host, e.status) }

func askHTTP(ctx context.Context, m spec.HTTPMetric, token string) (float64, error) {
	body, err := get(ctx, m.URL, token)
	if err != nil {
		return 0, err
	}
	if m.Select == "" {
		return number(string(body))
	}
	return selectNumber(body, m.Select)
}

// selectNumber finds the one number that the path leads to.
func selectNumber(body []byte, path string) (float64, error) {
	if !gjson.ValidBytes(body) {
		return 0, fmt.Errorf("the answer %s is not JSON", short(string(body)))
	}
	found := gjson.GetBytes(body, path)
	if found.IsArray() {
		switch all := found.Array(); len(all) {
		case 0:
			return 0, fmt.Errorf("select: %q leads to nothing in the answer", path)
		case 1:
			found = all[0]
		default:
			return 0, fmt.Errorf("select: %q leads to %d values in the answer, and one is needed", path, len(all))
		}
	}
	switch {
	case !found.Exists():
		return 0, fmt.Errorf("select: %q leads to nothing in the answer", path)
	case found.Type == gjson.Number:
		return found.Num, nil
	case found.Type == gjson.String:
		return number(found.Str)
	}
	return 0, fmt.Errorf("select: %q leads to %s, which is no number", path, short(found.Raw))
}
