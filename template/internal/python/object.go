package python

// Values that other packages make can be more than opaque: what they implement of these interfaces,
// operators and filters work with.
type (
	// Typed is a value with a type of Python's.
	Typed interface{ TypeName() string }

	// Represented is a value with a repr() of its own.
	Represented interface {
		AppendRepr(st *State, b []byte, depth int) ([]byte, error)
	}

	// Attributed is a value with attributes of its own.
	Attributed interface {
		Attribute(st *State, name string) (v any, ok bool, err error)
	}

	// Methodical is a value with methods of its own.
	Methodical interface {
		Methods(tables *MethodTables) map[string]*Method
	}

	// Sized is a value with a length.
	Sized interface {
		Length(st *State) (int, error)
	}

	// Orderable is a value that is compared with others of its type; ok is false for those of other
	// types.
	Orderable interface {
		CompareTo(other any) (order int, ok bool)
	}
)
