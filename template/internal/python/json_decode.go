package python

import "encoding/json"

// DecodeInOrder makes a value of JSON, with frozen lists and objects that many renders can share:
// nothing in them is changed or made later. It returns nil if raw is not JSON.
func DecodeInOrder(raw []byte) any {
	if !json.Valid(raw) {
		return nil
	}
	d := orderDecoder{raw: raw}
	return d.value()
}

// orderDecoder goes through JSON that is known to be valid.
type orderDecoder struct {
	raw []byte
	at  int
}

func (d *orderDecoder) blank() byte {
	for BlankByte(d.raw[d.at]) {
		d.at++
	}
	return d.raw[d.at]
}

func (d *orderDecoder) value() any {
	switch c := d.blank(); c {
	case '{':
		return d.object()
	case '[':
		return d.list()
	case '"':
		return d.text()
	case 't':
		d.at += len("true")
		return true
	case 'f':
		d.at += len("false")
		return false
	case 'n':
		d.at += len("null")
		return nil
	}
	begin := d.at
	for d.at < len(d.raw) && (Decimal(d.raw[d.at]) || d.raw[d.at] == '-' || d.raw[d.at] == '+' ||
		d.raw[d.at] == '.' || d.raw[d.at]|0x20 == 'e') {
		d.at++
	}
	return number(string(d.raw[begin:d.at]))
}

func (d *orderDecoder) text() string {
	begin := d.at
	plain := true
	for d.at++; d.raw[d.at] != '"'; d.at++ {
		if d.raw[d.at] == '\\' {
			plain = false
			d.at++
		}
	}
	d.at++
	if plain {
		return string(d.raw[begin+1 : d.at-1])
	}
	var s string
	_ = json.Unmarshal(d.raw[begin:d.at], &s) // valid, as all of it
	return s
}

func (d *orderDecoder) list() *List {
	l := &List{Frozen: true}
	d.at++
	for d.blank() != ']' {
		l.Items = append(l.Items, d.value())
		if d.blank() == ',' {
			d.at++
		}
	}
	d.at++
	return l
}

func (d *orderDecoder) object() *Dict {
	o := &Dict{Frozen: true, Ordered: true}
	d.at++
	for d.blank() != '}' {
		key := d.text()
		d.blank()
		d.at++ // the colon
		o.Put(key, d.value())
		if d.blank() == ',' {
			d.at++
		}
	}
	d.at++
	return o.Indexed()
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
