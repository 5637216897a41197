package client

import (
	"context"
	"iter"
	"maps"
	"net/url"
)

// page is a page of any list. The API says where the next one begins at the top or, in the list of
// webhooks, as the contract has it.
type page[T any] struct {
	Results    []T     `json:"results"`
	NextCursor *string `json:"next_cursor"`
	Pagination struct {
		NextCursor *string `json:"next_cursor"`
	} `json:"pagination"`
}

// pages yields the elements of all pages, and ends after the first error.
func pages[T any](
	ctx context.Context, c *Client, method, path string, query url.Values, in any,
) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		asked := maps.Clone(query)
		for {
			var p page[T]
			if _, err := c.call(ctx, method, path, asked, in, &p); err != nil {
				yield(nil, err)
				return
			}
			for i := range p.Results {
				if !yield(&p.Results[i], nil) {
					return
				}
			}
			next := p.NextCursor
			if next == nil {
				next = p.Pagination.NextCursor
			}
			if next == nil {
				return
			}
			asked.Set("cursor", *next)
		}
	}
}
