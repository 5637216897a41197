package console

// Route is one route, for tests that walk all of them.
type Route struct{ Method, Path, Need string }

// Routes returns the routes, with their paths relative to the prefix.
func (c *Console) Routes() []Route {
	names := map[right]string{toRead: "read", toOperate: "operate", toAdminister: "administer",
		toReveal: "reveal"}
	var list []Route
	for _, r := range c.routes() {
		list = append(list, Route{r.method, r.path, names[r.need]})
	}
	return list
}
