// Package signature signs and verifies webhooks as Standard Webhooks does.
package signature
