// Package template renders Jinja2 templates of subscribers, on pongo2.
package template
