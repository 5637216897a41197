// Package console is a web console: an [http.Handler] that a service mounts beside its own pages,
// for its operators and for its customers. They see what becomes of events, look at each delivery,
// send it again, and create and change subscriptions.
//
//	c, err := console.New(dispatcher, func(r *http.Request) (console.Identity, error) {
//		user, ok := sessions.User(r) // of your service
//		if !ok {
//			return console.Identity{}, console.ErrUnauthenticated
//		}
//		return console.Identity{
//			Name: user.Mail, Organizations: []string{user.Organization}, Role: console.Administer,
//		}, nil
//	}, console.Config{})
//	mux.Handle(console.DefaultPrefix+"/", c)
//
// It needs no build and nothing from elsewhere: pages are made by the server, charts too. All of
// them work without JavaScript. A script of some dozen lines keeps pages up to date, and copies.
//
// # Who sees what
//
// The Authorize function of the service says who makes a request: see [Identity]. A customer is
// shown the organizations that the identity names, and for that request those of all others do not
// exist. An operator is shown all of them, and all processes that deliver. What may be done depends
// on the [Role]; to show a secret is a right of its own. [Config.Audit] is told of each change, and
// of each secret shown, with who and what.
//
// With [Config.APIKeys], those who may administer an organization make and revoke its API keys. A key
// has no more rights than who makes it: only an operator can make one for all organizations.
//
// # Safety
//
// Every page has a Content-Security-Policy that allows nothing but the console's own files, whose
// URLs have the hash of their content. Pages are not cached, and not shown in frames. Requests that
// change something must come from the same origin: see [http.CrossOriginProtection]. Secrets are
// shown as a mask, by the rules of package api. An API key is in the answer to the form that makes it,
// and nowhere else. Whatever events, templates and subscriptions say is
// escaped.
//
// Every page reads a bounded number of rows, however many deliveries, subscriptions and
// organizations there are. The requests in progress are bounded, in all and by organization.
//
// # What is where
//
//   - console.go, config.go: New, the routes, and the way of each request
//   - identity.go: who may do what
//   - page.go: links, layout, and what pages have in common; templates: their HTML
//   - overview.go, chart.go, curves.go: the first page, that of operators, and charts as SVG
//   - subscriptions.go, subscription.go: the list, and one of them
//   - edit.go, fields.go: the forms to create and change one
//   - deliveries.go, delivery.go, curl.go: the list, and one of them, with what it waits for
//   - dead.go, replays.go: dead letters, and replays of many
//   - apikeys.go: API keys, one that was just made, and the end of one
//   - catalogue.go, testsend.go, preview.go: event types, tests, and the template editor
//   - static: style sheet, script and icon
//   - testdata/browser: what walks all of it in Chromium; it takes the pictures in docs, too
package console
