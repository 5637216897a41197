package channel

import (
	"errors"

	"github.com/mixpeek/webhooks-go/template"
)

// WithLibrary returns a driver like d whose templates can use a library:
// filters and functions of the service that embeds this package. d must be one
// of this package's own drivers, which is not changed. [Standard] does it for
// all of its drivers.
func WithLibrary(d Driver, library *template.Library) (Driver, error) {
	own, ok := d.(interface {
		withLibrary(library *template.Library) Driver
	})
	if !ok {
		return nil, errors.New("channel: WithLibrary: the driver must be one of this package's")
	}
	return own.withLibrary(library), nil
}

func (d *webhookDriver) withLibrary(library *template.Library) Driver {
	with := *d
	with.library = library
	return &with
}

func (d *slackDriver) withLibrary(library *template.Library) Driver {
	with := *d
	with.library = library
	return &with
}

func (d *emailDriver) withLibrary(library *template.Library) Driver {
	with := *d
	with.library = library
	return &with
}

func (d *smsDriver) withLibrary(library *template.Library) Driver {
	with := *d
	with.library = library
	return &with
}

// Library returns what the templates of the registry's standard channels can
// use beyond Jinja2, nil for nothing: see StandardConfig.Library.
func (r *Registry) Library() *template.Library { return r.library }
