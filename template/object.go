package template

// Values that other packages make can be more than opaque: what they implement of these interfaces, operators and
// filters work with.
type (
	// typed is a value with a type of Python's.
	typed interface{ typeName() string }

	// represented is a value with a repr() of its own.
	represented interface {
		appendRepr(st *state, b []byte, depth int) ([]byte, error)
	}

	// attributed is a value with attributes of its own.
	attributed interface {
		attribute(st *state, name string) (v any, ok bool, err error)
	}

	// methodical is a value with methods of its own.
	methodical interface {
		methods(tables *methodTables) map[string]*method
	}

	// sized is a value with a length.
	sized interface {
		length(st *state) (int, error)
	}

	// orderable is a value that is compared with others of its type; ok is false for those of other types.
	orderable interface {
		compare(other any) (order int, ok bool)
	}
)
