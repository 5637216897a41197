package sms

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

func TestCountSegments(t *testing.T) {
	t.Parallel()
	rep := strings.Repeat
	tests := []struct {
		text string
		want Segments
	}{
		{"", Segments{}},
		{"a", Segments{Count: 1, Units: 1}},
		{rep("a", 160), Segments{Count: 1, Units: 160}},
		{rep("a", 161), Segments{Count: 2, Units: 161}},
		{rep("a", 306), Segments{Count: 2, Units: 306}},
		{rep("a", 307), Segments{Count: 3, Units: 307}},
		{"@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà\n\r", Segments{Count: 1, Units: 44}},
		{"^{}\\[~]|€\f", Segments{Count: 1, Units: 20}},
		{rep("€", 80), Segments{Count: 1, Units: 160}},
		{rep("€", 81), Segments{Count: 2, Units: 162}},
		{rep("€", 152), Segments{Count: 2, Units: 304}},
		{rep("€", 153), Segments{Count: 3, Units: 306}}, // 153 septets do not hold 76.5 of them
		{"ç", Segments{Count: 1, Units: 1, UCS2: true}}, // GSM has only the capital
		{"`", Segments{Count: 1, Units: 1, UCS2: true}},
		{"\t", Segments{Count: 1, Units: 1, UCS2: true}},
		{rep("я", 70), Segments{Count: 1, Units: 70, UCS2: true}},
		{rep("я", 71), Segments{Count: 2, Units: 71, UCS2: true}},
		{rep("я", 134), Segments{Count: 2, Units: 134, UCS2: true}},
		{rep("я", 135), Segments{Count: 3, Units: 135, UCS2: true}},
		{rep("😀", 35), Segments{Count: 1, Units: 70, UCS2: true}},
		{rep("😀", 36), Segments{Count: 2, Units: 72, UCS2: true}},
		{rep("😀", 66), Segments{Count: 2, Units: 132, UCS2: true}},
		{rep("😀", 67), Segments{Count: 3, Units: 134, UCS2: true}},
		{rep("a", 69) + "😀", Segments{Count: 2, Units: 71, UCS2: true}},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, CountSegments(tt.text), "%.20q × %d", tt.text,
			utf8.RuneCountInString(tt.text))
	}
}

func TestTruncateSegments(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "short", truncateSegments("short", 1))
	assert.Equal(t, strings.Repeat("a", 160), truncateSegments(strings.Repeat("a", 160), 1))
	assert.Equal(t, strings.Repeat("a", 156)+"...", truncateSegments(strings.Repeat("a", 161), 1))
	for _, unit := range []string{"a", "€", "я", "😀", "a€", "a😀", "word "} {
		for limit := 1; limit <= 5; limit++ {
			long := strings.Repeat(unit, 2000)
			got := truncateSegments(long, limit)
			assert.LessOrEqual(t, CountSegments(got).Count, limit, "%q, %d", unit, limit)
			assert.Greater(t, CountSegments(got).Units, (limit-1)*60, "%q, %d: not too little either", unit,
				limit)
			assert.True(t, strings.HasSuffix(got, "..."))
		}
	}
}

func FuzzTruncateSegments(f *testing.F) {
	for _, s := range []string{"", "a€", "я😀", "\xff\xfe", strings.Repeat("€", 200)} {
		f.Add(s, 1)
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, text string, limit int) {
		if limit < 1 || limit > 10 {
			return
		}
		got := truncateSegments(text, limit)
		if n := CountSegments(got).Count; n > limit {
			t.Fatalf("%d segments, the limit is %d", n, limit)
		}
		if utf8.ValidString(text) && !utf8.ValidString(got) {
			t.Fatal("cut in the middle of a character")
		}
	})
}
