import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type SqlServer, startSqlServer } from './sql-server.fixture.ts'

/** Statements that people write, each with what it has to answer as TSV; null = whatever it is. */
const STATEMENTS: readonly [sql: string, answer: string | RegExp | null][] = [
  ['SELECT 1', '1\n'],
  ['select 1 as one -- a comment\n;', '1\n'],
  ['SELECT count() > 0 FROM hits', '1\n'],
  ['SELECT count() > 0 FROM analytics.hits', '1\n'],
  ['SELECT analytics.hits.site FROM analytics.hits LIMIT 1', 'blog\n'],
  ['SELECT h.site FROM analytics.hits AS h LIMIT 1', 'blog\n'],
  ['SELECT * FROM sessions LIMIT 1 FORMAT JSONEachRow', /^\{"site":"blog"/],
  ['FROM hits SELECT count() > 0', '1\n'],
  ['SELECT site, count() FROM page_views GROUP BY site ORDER BY count() DESC LIMIT 5 FORMAT Null', ''],
  ['SELECT day, uniqExact(visitor_id) FROM hits GROUP BY day ORDER BY day', /^2026-/],
  ['SELECT toStartOfWeek(time, 1) AS w, count() FROM hits GROUP BY w HAVING count() > 1 ORDER BY w', /^2026-/],
  ['WITH top AS (SELECT path, count() AS n FROM page_views GROUP BY path) SELECT sum(n) > 0 FROM top', '1\n'],
  ['WITH (SELECT count() FROM hits) AS total SELECT total > 0', '1\n'],
  ["WITH 'blog' AS wanted SELECT DISTINCT site FROM hits WHERE site = wanted", 'blog\n'],
  ['WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT sum(n) FROM t', '15\n'],
  ['SELECT count() > 0 FROM sessions AS s INNER JOIN hits AS h ON s.session_id = h.session_id', '1\n'],
  [
    'SELECT count() > 0 FROM sessions s LEFT JOIN (SELECT session_id, count() AS n FROM hits GROUP BY session_id) h USING (session_id)',
    '1\n',
  ],
  ['SELECT count() FROM hits AS a ASOF JOIN hits AS b ON a.site = b.site AND a.time >= b.time FORMAT Null', ''],
  ['SELECT count() > 0 FROM hits WHERE session_id IN (SELECT session_id FROM sessions WHERE is_bounce)', '1\n'],
  ['SELECT count() > 0 FROM hits WHERE (site, day) IN (SELECT site, day FROM sessions)', '1\n'],
  ["SELECT count() FROM hits WHERE path NOT IN ('/', '/pricing') AND country = 'XX'", '0\n'],
  ['SELECT 1 WHERE EXISTS (SELECT 1 FROM hits)', '1\n'],
  ['SELECT 1 UNION ALL SELECT 2 ORDER BY 1', '1\n2\n'],
  ['(SELECT 1 AS x) UNION DISTINCT (SELECT 1) FORMAT JSONEachRow', '{"x":1}\n'],
  ['SELECT 1 INTERSECT SELECT 1', '1\n'],
  ['SELECT number FROM numbers(5) EXCEPT SELECT 3', '0\n1\n2\n4\n'],
  ['SELECT row_number() OVER (PARTITION BY session_id ORDER BY time) AS n FROM hits ORDER BY n LIMIT 1', '1\n'],
  [
    'SELECT sum(n) OVER w FROM (SELECT number AS n FROM numbers(3)) WINDOW w AS (ORDER BY n ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)',
    '0\n1\n3\n',
  ],
  ['SELECT lagInFrame(path) OVER (PARTITION BY session_id ORDER BY time) AS before FROM hits FORMAT Null', ''],
  ['SELECT number AS n, rank() OVER (ORDER BY n) AS r FROM numbers(3) QUALIFY r = 2', '1\t2\n'],
  ['SELECT arrayMap(x -> x * 2, [1, 2, 3])', '[2,4,6]\n'],
  ['SELECT arrayJoin([1, 2]) AS x', '1\n2\n'],
  ["SELECT x, y FROM (SELECT [1, 2] AS a, ['b', 'c'] AS b) ARRAY JOIN a AS x, b AS y", '1\tb\n2\tc\n'],
  ['SELECT key, count() FROM events ARRAY JOIN mapKeys(props_text) AS key GROUP BY key FORMAT Null', null],
  ["SELECT count() FROM events WHERE props_text['plan'] = 'team' FORMAT Null", null],
  ["SELECT map('a', 1)['a'], tuple(1, 'x').2, [5, 6][2]", '1\tx\t6\n'],
  ['SELECT quantile(0.95)(duration_ms) >= 0, quantilesExact(0.5, 0.9)(duration_ms) != [] FROM sessions', '1\t1\n'],
  ["SELECT countIf(type = 'event') + countIf(type != 'event') = count() FROM hits", '1\n'],
  ['SELECT count() FILTER (WHERE is_bot) <= count() FROM hits', '1\n'],
  [
    'SELECT sumIf(page_views, is_bounce = 1) >= 0, uniqCombined64(visitor_id) > 0, groupArrayDistinct(site) FROM sessions',
    "1\t1\t['blog']\n",
  ],
  [
    "SELECT CASE WHEN 1 = 2 THEN 'a' ELSE 'b' END, CASE 3 WHEN 3 THEN 'x' ELSE 'y' END, if(1, 2, 3), multiIf(0, 1, 2)",
    'b\tx\t2\t2\n',
  ],
  [
    "SELECT toDate('2026-11-01') + INTERVAL 1 DAY, dateDiff('day', toDate('2026-11-01'), toDate('2026-11-05'))",
    '2026-11-02\t4\n',
  ],
  ["SELECT INTERVAL '2 days', DATE '2026-11-01', TIMESTAMP '2026-11-01 00:00:00'", null],
  [
    "SELECT CAST('5' AS UInt8) + '7'::UInt8, '1.50'::Decimal(10, 2), x::Array(String) FROM (SELECT ['a'] AS x)",
    "12\t1.5\t['a']\n",
  ],
  [
    "SELECT 'äöü' LIKE '%ö%', extract(month FROM toDate('2026-11-01')), trim(BOTH 'x' FROM 'xax'), substring('hello' FROM 2 FOR 3)",
    '1\t11\ta\tell\n',
  ],
  [
    'SELECT 5 BETWEEN 1 AND 9, NOT 0, 7 % 4, 7 DIV 2, -3, 1 != 2, NULL IS NULL, 2 > 1 ? 3 : 4',
    '1\t1\t3\t3\t-3\t1\t1\t3\n',
  ],
  [
    "SELECT domain('https://example.com/x'), cutQueryString('/a?b=1'), JSONExtractString('{\"a\":\"b\"}', 'a')",
    'example.com\t/a\tb\n',
  ],
  ["SELECT toTimeZone(min(time), 'Europe/Vienna') > 0 FROM hits", '1\n'],
  ['SELECT number FROM numbers(3) ORDER BY number DESC WITH FILL STEP -1 LIMIT 2', '2\n1\n'],
  ['SELECT path, count() FROM page_views GROUP BY path WITH TOTALS FORMAT Null', ''],
  ['SELECT site, day, count() FROM hits GROUP BY GROUPING SETS ((site), (site, day)) FORMAT Null', ''],
  ['SELECT site, count() FROM hits GROUP BY ROLLUP(site) FORMAT Null', ''],
  ['SELECT session_id, path FROM hits ORDER BY time LIMIT 1 BY session_id FORMAT Null', ''],
  ['SELECT * EXCEPT (title, route) FROM hits LIMIT 1 FORMAT Null', ''],
  ["SELECT COLUMNS('^utm_') FROM hits LIMIT 1 FORMAT Null", ''],
  ["SELECT COLUMNS('_ms$') APPLY(max) FROM hits FORMAT Null", ''],
  ['SELECT * APPLY(toString) FROM (SELECT 1, 2)', '1\t2\n'],
  ['SELECT * REPLACE (upper(site) AS site) FROM (SELECT site FROM hits LIMIT 1)', 'BLOG\n'],
  ["SELECT windowFunnel(3600)(toDateTime(time), type = 'page_view', type = 'event') >= 0 FROM hits", '1\n'],
  ["SELECT sequenceMatch('(?1)(?2)')(toDateTime(time), path = '/', path = '/docs') FROM hits FORMAT Null", null],
  ['SELECT verdict, sum(hits) FROM ledger GROUP BY verdict ORDER BY verdict', /^keep\t\d+/],
  ['SELECT 1 AS `a name`, 2 AS "another"', '1\t2\n'],
  ["SELECT * FROM VALUES('a UInt8, b String', (1, 'x'))", '1\tx\n'],
  ['SELECT version(), timezone(), currentDatabase(), currentUser()', /\tanalytics\t/],
  ['SELECT name FROM system.tables ORDER BY name', 'events\nhits\nledger\npage_views\nsessions\n'],
  ['SHOW TABLES', 'events\nhits\nledger\npage_views\nsessions\n'],
  ['SHOW DATABASES', 'analytics\n'],
  ['DESCRIBE TABLE sessions', /^site\tLowCardinality\(String\)/],
  ['DESC analytics.hits', /^site\t/],
  ['EXISTS TABLE hits', '1\n'],
  ['SHOW CREATE VIEW page_views', /^CREATE VIEW/],
  ['SELECT dictionary FROM (SELECT 1 AS dictionary)', '1\n'],
]

const FORMATS = ['TSV', 'TabSeparatedWithNamesAndTypes', 'CSVWithNames', 'JSON', 'JSONCompact', 'JSONEachRow', 'XML']
const MORE_FORMATS = [
  'Vertical',
  'PrettyCompact',
  'Markdown',
  'Values',
  'Native',
  'RowBinary',
  'Parquet',
  'Arrow',
  'ORC',
]

describe('statements that people write', () => {
  let server: SqlServer
  beforeAll(async () => {
    server = await startSqlServer()
  })
  afterAll(() => server?.close())

  const ask = (query: Record<string, string>, body: string) =>
    fetch(`${server.url}/v1/sql?${new URLSearchParams(query)}`, { method: 'POST', body })

  test.each(STATEMENTS)('it answers %s', async (sql, expected) => {
    const response = await ask({}, sql)
    const text = await response.text()
    expect(response.status, text).toBe(200)
    if (typeof expected === 'string') expect(text).toBe(expected)
    else if (expected) expect(text).toMatch(expected)
  })

  test.each([...FORMATS, ...MORE_FORMATS])(
    'it answers in the format %s, by statement and by default_format',
    async (format) => {
      const quiet = { output_format_write_statistics: '0' }
      const named = await ask(quiet, `SELECT 1 AS a, 'x' AS b FORMAT ${format}`)
      const byDefault = await ask({ ...quiet, default_format: format }, "SELECT 1 AS a, 'x' AS b")
      expect([named.status, named.headers.get('x-clickhouse-format')]).toEqual([200, format])
      const bytes = Buffer.from(await byDefault.arrayBuffer())
      expect(bytes.length).toBeGreaterThan(0)
      if (format === 'JSON') expect(JSON.parse(bytes.toString()).data).toEqual([{ a: 1, b: 'x' }])
      else expect(Buffer.from(await named.arrayBuffer())).toEqual(bytes)
    },
  )

  test.each([
    ["it's; -- \\' \"", 'String', "it\\'s; -- \\\\\\' \""],
    ['[1,2]', 'Array(UInt8)', '[1,2]'],
    ["{'a':1}", 'Map(String, UInt8)', "{'a':1}"],
    ['2026-11-01', 'Date', '2026-11-01'],
    ['\\N', 'Nullable(UInt8)', '\\N'],
  ])('it binds the parameter %s as %s', async (value, type, expected) => {
    const text = await (
      await ask({ param_x: value.replaceAll('\\', type === 'String' ? '\\\\' : '\\') }, `SELECT {x:${type}}`)
    ).text()
    expect(text).toBe(`${expected}\n`)
  })

  test('a parameter is a value wherever it says what SQL says', async () => {
    const answer = await ask({ param_x: "blog' OR 1 = 1 --" }, 'SELECT count() FROM hits WHERE site = {x:String}')
    expect(await answer.text()).toBe('0\n')
  })
})
