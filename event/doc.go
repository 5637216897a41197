// Package event defines the envelope.
package event
