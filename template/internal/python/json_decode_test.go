package python

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func FuzzDecodeInOrder(f *testing.F) {
	for _, s := range []string{`{"a":1,"b":[1,-2.5e+3,"x\"\\\u0041",true,false,null,{}],"a":2}`,
		` [ ] `, `"x"`, `1e5`, `{"a" : { } , "b":[ [ ] ]}`, `[`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v := DecodeInOrder([]byte(s))
		if !json.Valid([]byte(s)) {
			assert.Nil(t, v)
			return
		}
		st := &State{Budget: NewBudget(t.Context(),
			Limits{Steps: 1 << 30, Memory: 1 << 30, Depth: 1 << 20})}
		style := ObjectJSON()
		b, err := st.AppendJSON(nil, v, &style, 0)
		if err != nil {
			return // numbers that are too large
		}
		var want any
		if err := json.Unmarshal([]byte(s), &want); err != nil {
			return // integers have any length here, and a float64 has not
		}
		again, err := json.Marshal(want)
		require.NoError(t, err)
		assert.JSONEq(t, string(again), string(b))
	})
}
