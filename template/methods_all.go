package template

func allMethods() methodTables {
	return methodTables{
		text:   methodTable(textMethods(), textPredicates()),
		list:   methodTable(listMethods(), sequenceMethods()),
		tuple:  methodTable(sequenceMethods()),
		dict:   methodTable(dictMethods(), dictChanges()),
		loop:   methodTable(loopMethods()),
		cycler: methodTable(cyclerMethods()),
	}
}
