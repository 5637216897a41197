package sqlstore

import (
	"database/sql"
	"reflect"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPostgresBatch(t *testing.T) {
	t.Parallel()
	x, err := newExpander(PostgreSQL(), "p_")
	require.NoError(t, err)
	b := x.batch(`INSERT INTO {p}t WITH {v}`+
		` SELECT id, name, data, ? FROM v`,
		column{"id", integer}, column{"name", text}, column{"data", binary})
	require.Equal(t,
		`INSERT INTO p_t WITH v (id, name, data) AS (SELECT id, name, `+
			`substring($1::bytea FROM data::int FOR data_length::int)`+
			` FROM unnest($2::text::bigint[], $3::text::text[], $4::text::bigint[], `+
			`$5::text::bigint[]) AS t (id, name, data, data_length))`+
			` SELECT id, name, data, $6 FROM v`, b.texts[anyRows])
	require.Equal(t, []any{[]byte("abcde"), `{1,2,3,4}`, `{"plain","q\"uo\\te",NULL,""}`,
		`{1,4,NULL,6}`, `{3,2,NULL,0}`, int64(9)},
		postgresDialect{}.arguments(b, []any{
			int64(1), "plain", []byte("abc"),
			int64(2), `q"uo\te`, []byte("de"),
			int64(3), nil, nil,
			int64(4), "", []byte{},
		}, []any{int64(9)}))
}

func TestMigrationsHaveNoOtherNames(t *testing.T) {
	t.Parallel()
	for _, dialect := range []Dialect{SQLite(), PostgreSQL()} {
		migrations, err := Migrations(dialect, "shop_")
		require.NoError(t, err)
		require.NotEmpty(t, migrations)
		require.Contains(t, migrations[0].SQL, "CREATE TABLE shop_events")
		named := regexp.MustCompile(`\b(?:TABLE|VIEW|INDEX|SEQUENCE|INTO|FROM|JOIN|ON)` +
			`(?: IF NOT EXISTS)? (\w+)[ ;\n]`)
		for _, m := range migrations {
			require.NotContains(t, m.SQL, "{p}")
			names := named.FindAllStringSubmatch(m.SQL, -1)
			require.NotEmpty(t, names)
			for _, name := range names {
				require.Regexp(t, "^shop_", name[1])
			}
		}
	}
	_, err := Migrations(SQLite(), "no prefix")
	require.ErrorContains(t, err, "a table prefix is")
}

// TestDialectsKnowEveryWord looks for words in braces that a dialect does not replace.
func TestDialectsKnowEveryWord(t *testing.T) {
	t.Parallel()
	word := regexp.MustCompile(`\{[a-z]+\}`)
	for _, dialect := range []Dialect{SQLite(), PostgreSQL()} {
		x, err := newExpander(dialect, "shop_")
		require.NoError(t, err)
		n := 0
		for _, statements := range statementsOf(x.store(new(sql.DB), Config{})) {
			eachText(statements, func(text string) {
				n++
				require.NotRegexp(t, word, x.words(text))
			})
		}
		require.Greater(t, n, 50, "the statements are found")
	}
}

// eachText calls fn with the strings in structs, also those of batches.
func eachText(v reflect.Value, fn func(string)) {
	switch v.Kind() {
	case reflect.String:
		fn(v.String())
	case reflect.Pointer:
		eachText(v.Elem(), fn)
	case reflect.Struct:
		for i := range v.NumField() {
			eachText(v.Field(i), fn)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			eachText(v.MapIndex(key), fn)
		}
	}
}
