package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
)

// Client is a backup.Target on the other side of HTTP.
type Client struct {
	// HTTP has no Timeout: a backup takes as long as it takes.
	HTTP *http.Client
	// Request makes a request for a path ("/object?name=...") with whatever proves who asks.
	Request func(ctx context.Context, method, path string, body io.Reader) (*http.Request, error)
}

var _ backup.Target = (*Client)(nil)

func (c *Client) do(ctx context.Context, method, path string, body io.Reader, change func(*http.Request)) (*http.Response, error) {
	r, err := c.Request(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	if change != nil {
		change(r)
	}
	response, err := c.HTTP.Do(r)
	if err != nil {
		return nil, fmt.Errorf("%w: the farm's gateway does not answer: %w", backup.ErrUnavailable, err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	var a answer
	if err := json.NewDecoder(io.LimitReader(response.Body, 64<<10)).Decode(&a); err != nil || a.Kind == "" {
		return nil, fmt.Errorf("%w: the farm's gateway answers %s", backup.ErrUnavailable, response.Status)
	}
	return nil, a.err()
}

func object(name string) string { return "/object?name=" + url.QueryEscape(name) }

// Put implements backup.Target.
func (c *Client) Put(ctx context.Context, name string, r io.Reader) (int64, error) {
	if err := backup.CheckName(name); err != nil {
		return 0, err
	}
	body := &broken{r: r}
	response, err := c.do(ctx, http.MethodPut, object(name), body, nil)
	if body.err != nil {
		if err == nil {
			response.Body.Close()
		}
		return 0, body.err
	}
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	var a answer
	if err := json.NewDecoder(response.Body).Decode(&a); err != nil {
		return 0, fmt.Errorf("%w: %w", backup.ErrUnavailable, err)
	}
	return a.Size, nil
}

// broken remembers how a stream ended: the client says of it that the request could not be written.
type broken struct {
	r   io.Reader
	err error
}

func (b *broken) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

// PutNew implements backup.Target.
func (c *Client) PutNew(ctx context.Context, name string, b []byte) error {
	response, err := c.do(ctx, http.MethodPut, object(name), bytes.NewReader(b), func(r *http.Request) { r.Header.Set("If-None-Match", "*") })
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// Get implements backup.Target.
func (c *Client) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	return c.GetFrom(ctx, name, 0)
}

// GetFrom implements backup.Target.
func (c *Client) GetFrom(ctx context.Context, name string, from int64) (io.ReadCloser, error) {
	path := object(name)
	if from > 0 {
		path += "&from=" + strconv.FormatInt(from, 10)
	}
	response, err := c.do(ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return nil, err
	}
	if from > 0 && response.Header.Get(fromHeader) != strconv.FormatInt(from, 10) {
		response.Body.Close()
		return nil, errors.New("the farm's gateway cannot send part of an object: its sidecar is of an earlier version, upgrade that")
	}
	return arriving{response.Body}, nil
}

// arriving is a body whose end may not come.
type arriving struct{ io.ReadCloser }

func (a arriving) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: the farm's gateway broke off: %w", backup.ErrUnavailable, err)
	}
	return n, err
}

// List implements backup.Target.
func (c *Client) List(ctx context.Context, prefix string) ([]backup.Object, error) {
	response, err := c.do(ctx, http.MethodGet, "/list?prefix="+url.QueryEscape(prefix), nil, nil)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var objects []backup.Object
	if err := json.NewDecoder(response.Body).Decode(&objects); err != nil {
		return nil, fmt.Errorf("%w: %w", backup.ErrUnavailable, err)
	}
	return objects, nil
}

// Delete implements backup.Target.
func (c *Client) Delete(ctx context.Context, name string) error {
	response, err := c.do(ctx, http.MethodDelete, object(name), nil, nil)
	if err != nil {
		return err
	}
	return response.Body.Close()
}
