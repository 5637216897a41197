package builtin

import "github.com/mixpeek/webhooks-go/template/internal/python"

// Names are the names of Jinja2. Its loops have methods too, which the package with the loops adds.
func Names() python.Names {
	return python.Names{
		Filters: allFilters(),
		Tests:   allTests(),
		Methods: python.MethodTables{
			Text:   python.MethodTable(textMethods(), textPredicates()),
			List:   python.MethodTable(listMethods(), sequenceMethods()),
			Tuple:  python.MethodTable(sequenceMethods()),
			Dict:   python.MethodTable(dictMethods(), dictChanges()),
			Cycler: python.MethodTable(cyclerMethods()),
		},
		Globals: allGlobals(),
		JSON:    python.PythonJSON(),
	}
}
