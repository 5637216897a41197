package python

import "github.com/mixpeek/webhooks-go/event/jsontext"

// DecodeInOrder makes a value of JSON, with frozen lists and objects that many renders can share:
// nothing in them is changed or made later. It returns nil if raw is not JSON.
func DecodeInOrder(raw []byte) any {
	d := orderDecoder{jsontext.NewReader(raw, jsontext.MaxDepth)}
	v, err := d.value()
	if err != nil || !d.AtEnd() {
		return nil
	}
	return v
}

type orderDecoder struct{ *jsontext.Reader }

func (d orderDecoder) value() (any, error) {
	switch c := d.Next(); {
	case c == '{':
		return d.dict()
	case c == '[':
		return d.list()
	case c == '"':
		s, err := d.Text()
		return string(s), err
	case c == '-' || Decimal(c):
		n, err := d.Number()
		return number(string(n)), err
	default:
		return d.Value()
	}
}

func (d orderDecoder) list() (*List, error) {
	l := &List{Frozen: true}
	err := d.Array(func() error {
		v, err := d.value()
		l.Items = append(l.Items, v)
		return err
	})
	return l, err
}

func (d orderDecoder) dict() (*Dict, error) {
	o := &Dict{Frozen: true, Ordered: true}
	err := d.Object(func(name []byte) error {
		key := string(name)
		v, err := d.value()
		o.Put(key, v)
		return err
	})
	return o.Indexed(), err
}

// Put adds an entry to a dict that is being decoded; of several with one key, the first gives the
// place and the last the value, as in Python.
func (d *Dict) Put(key string, value any) {
	i, found := -1, false
	if d.index != nil {
		i, found = d.index[key]
	} else {
		for j := range d.Keys {
			if d.Keys[j] == key {
				i, found = j, true
			}
		}
	}
	if found {
		d.Values[i] = value
		return
	}
	d.Keys, d.Values = append(d.Keys, key), append(d.Values, value)
	if d.index != nil {
		d.index[key] = len(d.Keys) - 1
	} else if len(d.Keys) >= IndexFrom {
		d.Indexed()
	}
}

// Indexed makes the index that finding an entry needs, now: a render must not make it in a dict
// that others read.
func (d *Dict) Indexed() *Dict {
	if len(d.Keys) < IndexFrom || d.index != nil {
		return d
	}
	d.index = make(map[any]int, 2*len(d.Keys))
	for i, k := range d.Keys {
		d.index[k] = i
	}
	return d
}
