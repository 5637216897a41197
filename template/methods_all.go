package template

import "github.com/mixpeek/webhooks-go/template/internal/python"

func allMethods() python.MethodTables {
	return python.MethodTables{
		Text:   python.MethodTable(textMethods(), textPredicates()),
		List:   python.MethodTable(listMethods(), sequenceMethods()),
		Tuple:  python.MethodTable(sequenceMethods()),
		Dict:   python.MethodTable(dictMethods(), dictChanges()),
		Loop:   python.MethodTable(loopMethods()),
		Cycler: python.MethodTable(cyclerMethods()),
	}
}
