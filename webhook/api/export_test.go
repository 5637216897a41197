package api

// Routes returns the API's routes as "METHOD path", the path relative to the prefix.
func (a *API) Routes() []string {
	var list []string
	for _, r := range a.routes() {
		list = append(list, r.method+" "+r.path)
	}
	return list
}
