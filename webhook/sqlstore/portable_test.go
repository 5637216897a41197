package sqlstore

import (
	"context"
	"database/sql"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// portable is the dialect of a database that replaces no words and has no statements of its own, so
// that what is left are the statements of the shared files.
type portable struct{ sqliteDialect }

func (portable) expand(statement string) string      { return statement }
func (portable) rows([]column) map[int]string        { return map[int]string{1: "{rows}"} }
func (portable) returning() bool                     { return false }
func (portable) claimSQL() string                    { return "" }
func (portable) firstSQL(string, string) string      { return "" }
func (portable) tailSQL() (given, open string)       { return "", "" }
func (portable) addResultsSQL() string               { return "" }
func (portable) resultsSQL() (given, open string)    { return "", "" }
func (portable) reserveSQL(bool) (take, read string) { return "", "" }

// recorder keeps the statements that it runs. Each query has one row.
type recorder struct {
	row []any // of zero values, if it is nil
	ran []ran
}

type ran struct {
	statement string
	args      []any
}

func (r *recorder) Exec(_ context.Context, statement string, args ...any) (int64, error) {
	r.ran = append(r.ran, ran{statement, args})
	return 1, nil
}

func (r *recorder) Query(_ context.Context, statement string, args ...any) (Rows, error) {
	r.ran = append(r.ran, ran{statement, args})
	return &recordedRow{values: r.row}, nil
}

type recordedRow struct {
	values []any
	read   bool
}

func (r *recordedRow) Next() bool {
	defer func() { r.read = true }()
	return !r.read
}

func (r *recordedRow) Scan(dest ...any) error {
	for i, value := range r.values {
		reflect.ValueOf(dest[i]).Elem().Set(reflect.ValueOf(value))
	}
	return nil
}

func (r *recordedRow) Err() error   { return nil }
func (r *recordedRow) Close() error { return nil }

// sharedStatements returns the statements of the shared files, and the names of the columns of the
// rows that each one reads.
func sharedStatements(t *testing.T) map[string][]string {
	t.Helper()
	x, err := newExpander(portable{}, "p_")
	require.NoError(t, err)
	s := x.store(new(sql.DB), Config{})
	all := make(map[string][]string)
	add := func(text string, columns []column) {
		text = strings.Join(strings.Fields(text), " ")
		if text == "" || strings.HasSuffix(text, " WHERE") { // fetch adds the rest
			return
		}
		all[text] = []string{}
		for _, c := range columns {
			all[text] = append(all[text], c.name)
		}
	}
	for _, used := range []buckets{{}, {0, len(durationColumns)}} {
		b := s.settle.statistics.add.of(used) // made when it is needed
		for _, text := range b.texts {
			add(text, b.columns)
		}
	}
	for _, statements := range statementsOf(s) {
		eachStatement(statements, add)
	}
	// Lists are made of parts.
	now := time.Now()
	for _, status := range []webhook.Status{"", webhook.StatusPending, webhook.StatusInFlight,
		webhook.StatusPaused, webhook.StatusSucceeded, webhook.StatusDead, webhook.StatusCancelled} {
		for _, q := range []webhook.DeliveryQuery{{}, {EventID: "evt_1"}, {
			SubscriptionID: "wh_1", EventType: "a.b", Since: now, Until: now, AttemptsBelow: 1,
			WithoutAttempts: true,
		}} {
			q.Status = status
			r := &recorder{}
			s.read = r
			_, err := s.Deliveries(t.Context(), q)
			require.NoError(t, err)
			for _, done := range r.ran {
				add(done.statement, nil)
			}
		}
	}
	for _, q := range []webhook.TailQuery{{}, {
		SubscriptionID: "wh_1", EventTypes: []event.Pattern{"a.*", "b.c"}, Since: now, Deliveries: true,
	}, {WithoutPayload: true}} {
		for _, severalChannels := range []bool{true, false} {
			r := &recorder{}
			s.read = r
			tail := &tailing{query: q, last: 1}
			tail.filter.add(`d.endpoint_id {in}`)
			tail.addFilters(severalChannels)
			tail.statement = tailColumns(&q)
			require.NoError(t, s.readBlocks(t.Context(), tail, []int64{0}))
			for _, done := range r.ran {
				add(done.statement, nil)
			}
		}
	}
	require.Greater(t, len(all), 100, "the statements are found")
	return all
}

// statementsOf returns the fields of a Store that have statements.
func statementsOf(s *Store) (found []reflect.Value) {
	store := reflect.ValueOf(s).Elem()
	for i := range store.NumField() {
		if strings.HasSuffix(store.Field(i).Type().Name(), "Statements") {
			found = append(found, store.Field(i))
		}
	}
	return found
}

// eachStatement calls fn with the statements in a struct.
func eachStatement(v reflect.Value, fn func(text string, columns []column)) {
	if v.Type() == reflect.TypeFor[*batch]() {
		b := v.Elem()
		names := b.FieldByName("columns")
		var columns []column
		for i := range names.Len() {
			columns = append(columns, column{name: names.Index(i).FieldByName("name").String()})
		}
		for _, key := range b.FieldByName("texts").MapKeys() {
			fn(b.FieldByName("texts").MapIndex(key).String(), columns)
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		fn(v.String(), nil)
	case reflect.Struct:
		for i := range v.NumField() {
			eachStatement(v.Field(i), fn)
		}
	}
}

// portableWords are the key words and functions that all databases know. Before you add one, look
// it up in the manuals of MySQL and MariaDB.
var portableWords = strings.Fields(`
	SELECT DISTINCT FROM ON AS WHERE AND OR NOT IN IS NULL EXISTS BETWEEN LIKE true
	GROUP ORDER BY DESC LIMIT OFFSET UNION ALL WITH RECURSIVE CASE WHEN THEN ELSE END
	INSERT INTO VALUES CONFLICT DO NOTHING UPDATE SET DELETE
	CREATE TABLE IF INTEGER PRIMARY KEY
	coalesce( count( max( min( sum(`)

var (
	keyword     = regexp.MustCompile(`\b[A-Z]+\b|\b[a-z_]+\(|\btrue\b`)
	inserted    = regexp.MustCompile(`^INSERT INTO p_\w+ \([a-z0-9_, ]+\) (VALUES|WITH|SELECT) `)
	conflict    = regexp.MustCompile(` ON CONFLICT (DO NOTHING$|\([a-z_, ]+\) DO UPDATE SET )`)
	changing    = regexp.MustCompile(`^(?:\{update\}|UPDATE|DELETE FROM) (\w+)`)
	assigned    = regexp.MustCompile(`^ ?([a-z0-9_]+) = (.*)$`)
	assignments = regexp.MustCompile(` SET (.*)$`)
)

// mistakes returns which rules in the comment on the interface dialect a statement breaks. columns
// are those of the rows that it reads.
func mistakes(text string, columns []string) (found []string) {
	for _, word := range keyword.FindAllString(text, -1) {
		if !slices.Contains(portableWords, word) && !strings.HasPrefix(word, "p_") {
			found = append(found, "not in portableWords: "+word)
		}
	}
	for _, mark := range []string{"||", "::"} {
		if strings.Contains(text, mark) {
			found = append(found, mark)
		}
	}
	if strings.HasPrefix(text, "WITH") &&
		regexp.MustCompile(`INSERT|UPDATE|DELETE`).MatchString(text) {
		found = append(found, "WITH before something else than SELECT")
	}
	if strings.HasPrefix(text, "INSERT") && !inserted.MatchString(text) {
		found = append(found, "INSERT in another form")
	}
	if strings.Contains(text, "CONFLICT") {
		at := conflict.FindStringIndex(text)
		if at == nil || strings.Contains(text[at[0]:], "WHERE") {
			found = append(found, "ON CONFLICT in another form")
		}
	}
	if strings.HasPrefix(text, "DELETE") && !regexp.MustCompile(`^DELETE FROM p_\w+ WHERE `).
		MatchString(text) {
		found = append(found, "DELETE in another form")
	}
	return append(append(found, subqueryMistakes(text)...), assignmentMistakes(text, columns)...)
}

// outside returns the text without what is in inner parentheses.
func outside(text string) string {
	var out strings.Builder
	depth := 0
	for _, r := range text {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case depth == 0:
			out.WriteRune(r)
			continue
		}
		if depth <= 1 {
			out.WriteRune(' ')
		}
	}
	return out.String()
}

// parenthesized returns the text from after an opening parenthesis to its end.
func parenthesized(text string) string {
	depth := 0
	for i, r := range text {
		switch r {
		case '(':
			depth++
		case ')':
			if depth--; depth < 0 {
				return text[:i]
			}
		}
	}
	return text
}

func subqueryMistakes(text string) (found []string) {
	table := "no table"
	if m := changing.FindStringSubmatch(text); m != nil {
		table = m[1]
	}
	for _, at := range regexp.MustCompile(`\((?:SELECT|WITH)\b`).FindAllStringIndex(text, -1) {
		before, query := strings.TrimSpace(text[:at[0]]), outside(parenthesized(text[at[0]+1:]))
		if strings.HasSuffix(before, "FROM") {
			continue
		}
		if strings.HasSuffix(before, " IN") && strings.Contains(query, "LIMIT") {
			found = append(found, "LIMIT in a subquery of IN")
		}
		if regexp.MustCompile(`(FROM|JOIN|\{join\}) ` + table + `\b`).MatchString(query) {
			found = append(found, "a subquery reads the table that the statement changes")
		}
	}
	return found
}

func assignmentMistakes(text string, columns []string) (found []string) {
	m := assignments.FindStringSubmatch(text)
	if m == nil {
		return nil
	}
	list := m[1]
	for _, end := range []string{" {fromrows}", " WHERE "} {
		// The end of the list is not in parentheses.
		for at := range list {
			if strings.HasPrefix(list[at:], end) &&
				strings.Count(list[:at], "(") == strings.Count(list[:at], ")") {
				list = list[:at]
				break
			}
		}
	}
	var before []string
	for list != "" {
		end := len(list)
		for at, r := range list {
			if r == ',' && strings.Count(list[:at], "(") == strings.Count(list[:at], ")") {
				end = at
				break
			}
		}
		a := assigned.FindStringSubmatch(list[:end])
		list = list[min(end+1, len(list)):]
		if a == nil {
			return append(found, "SET in another form")
		}
		for _, name := range before {
			// Columns of the new rows have the prefix of their table.
			if regexp.MustCompile(`(^|[^.\w]|\bd\.|\bp_\w+\.)` + name + `\b`).MatchString(a[2]) {
				found = append(found, a[1]+" reads "+name+", which was assigned before")
			}
		}
		if slices.Contains(columns, a[1]) && strings.HasPrefix(text, "{update}") {
			found = append(found, "the rows have a column "+a[1]+", too")
		}
		before = append(before, a[1])
	}
	return found
}

// twoSteps is a dialect without RETURNING that takes ids with a statement of its own.
type twoSteps struct{ portable }

func (twoSteps) reserveSQL(bool) (take, read string) { return "take ?", "read {versions}" }

func TestDialectWithoutReturning(t *testing.T) {
	t.Parallel()
	x, err := newExpander(twoSteps{}, "p_")
	require.NoError(t, err)
	s := &Store{x: x, enqueue: newEnqueueStatements(x), routing: newRouteStatements(x)}
	r := &recorder{}
	_, err = s.raise(t.Context(), r, "org_1")
	require.NoError(t, err)
	require.Equal(t, []ran{
		{s.routing.raise.change, []any{"org_1"}},
		{"SELECT version FROM p_organizations WHERE organization_id = ?", []any{"org_1"}},
	}, r.ran)

	r = &recorder{row: []any{int64(12), []byte("{}")}}
	ids, _, err := s.takeIDs(t.Context(), r, &enqueuing{organizationIDs: []string{"org_1"}}, 2)
	require.NoError(t, err)
	require.Equal(t, []int64{10, 11}, ids)
	require.Equal(t, []ran{{"take ?", []any{2}}, {"read {versions}", []any{`["org_1"]`}}}, r.ran)
}

// TestStatementsArePortable checks the rules in the comment on the interface dialect, by which a
// database needs no more than a dialect.
func TestStatementsArePortable(t *testing.T) {
	t.Parallel()
	for text, columns := range sharedStatements(t) {
		assert.Empty(t, mistakes(text, columns), text)
	}
}

func TestMistakesAreFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ want, text string }{
		{"RETURNING", `UPDATE p_t SET a = 1 WHERE b = ? RETURNING a`},
		{"||", `SELECT a || b FROM p_t`},
		{"concat(", `SELECT concat(a, b) FROM p_t`},
		{"WITH before", `WITH v (a) AS ({rows}) INSERT INTO p_t (a) SELECT a FROM v`},
		{"INSERT in", `INSERT INTO p_t AS t (a) VALUES (?)`},
		{"ON CONFLICT",
			`INSERT INTO p_t (a) VALUES (?) ON CONFLICT (a) DO UPDATE SET b = 1 WHERE b = 2`},
		{"DELETE in", `DELETE FROM p_t AS t WHERE a = ?`},
		{"LIMIT", `DELETE FROM p_t WHERE a IN (SELECT a FROM p_u LIMIT ?)`},
		{"a subquery reads", `DELETE FROM p_t WHERE a IN (SELECT a FROM p_t WHERE b = ?)`},
		{"b reads a", `UPDATE p_t SET a = 1, b = CASE WHEN a = 2 THEN 1 END WHERE c = ?`},
		{"b reads a",
			`{update} p_t AS d SET a = 1, b = coalesce(d.a, 2) {fromrows} WHERE v.x = 1`},
		{"the rows have", `{update} p_t AS d SET x = v.x {fromrows} WHERE d.id = v.id`},
		{"c reads b",
			`INSERT INTO p_t (a, b) VALUES (?, ?) ON CONFLICT (a) DO UPDATE SET b = 1, c = p_t.b`},
	} {
		assert.Contains(t, strings.Join(mistakes(c.text, []string{"id", "x"}), "; "), c.want, c.text)
	}
	for _, text := range []string{
		`DELETE FROM p_t WHERE a IN (SELECT a FROM (SELECT a FROM p_t LIMIT ?) found)`,
		`INSERT INTO p_t (a, b) VALUES (?, ?) ON CONFLICT (a) DO UPDATE SET b = 1, c = excluded.b`,
		`UPDATE p_t SET b = CASE WHEN a = 2 THEN b END, a = 1 WHERE c = ?`,
	} {
		assert.Empty(t, mistakes(text, nil), text)
	}
}
