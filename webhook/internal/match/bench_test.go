package match

import (
	"fmt"
	"testing"

	"github.com/mixpeek/webhooks-go/event"
)

// patterned makes the table of so many webhooks, each with so many patterns of its own, and one that
// all have.
func patterned(webhooks, patterns int) *Table {
	routes := make([]Route, webhooks)
	for i := range routes {
		own := []event.Pattern{"object.*"}
		for j := range patterns - 1 {
			own = append(own, event.Pattern(fmt.Sprintf("type_%d.of_%d", j, i)))
		}
		routes[i] = route(i, fmt.Sprint("wh_", i), own, "webhook")
	}
	var empty *Table
	return empty.With(routes...)
}

func BenchmarkTable(b *testing.B) {
	for _, size := range [][2]int{{1, 1}, {5, 3}, {100, 3}, {20_000, 1}, {1_000, 500}} {
		name := fmt.Sprintf("/webhooks=%d,patterns=%d", size[0], size[1])
		table := patterned(size[0], size[1])
		types := make([]string, 1<<16)
		for i := range types {
			types[i] = fmt.Sprint("object.new_", i)
		}
		b.Run("Remembered"+name, func(b *testing.B) {
			for b.Loop() {
				table.Targets("object.created")
			}
		})
		b.Run("New"+name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				table.Targets(types[i%len(types)])
				i++
			}
		})
		b.Run("Change"+name, func(b *testing.B) {
			changed := *table.routes[size[0]/2]
			for b.Loop() {
				table = table.With(changed)
			}
		})
	}
}
