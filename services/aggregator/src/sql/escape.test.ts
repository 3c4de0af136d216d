import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkTokens, checkTree } from './check-statement.ts'
import { SqlRunner } from './run-sql.ts'
import { CANARY, type SqlServer, startSqlServer } from './sql-server.fixture.ts'
import { readStatement, withoutValues } from './statement.ts'

/**
 * What somebody may try to read, or to change, more than the views. FILE stands for a file with the canary, OUT for one
 * that must not come to be. Every line is one attempt; a line that begins with "harmless:" may be answered.
 */
const ATTEMPTS = `
SELECT * FROM millrace.secrets
SELECT * FROM \`millrace\`.\`secrets\`
SELECT * FROM "millrace"."secrets"
SELECT * FROM millrace . secrets
SELECT * FROM millrace/**/./**/secrets
SELECT * FROM millrace.hits
SELECT millrace.secrets.text FROM millrace.secrets
SELECT * FROM (SELECT * FROM millrace.secrets)
WITH x AS (SELECT text FROM millrace.secrets) SELECT * FROM x
WITH (SELECT any(text) FROM millrace.secrets) AS x SELECT x
SELECT (SELECT any(text) FROM millrace.secrets)
SELECT 1 WHERE '${CANARY}' IN millrace.secrets
SELECT 1 WHERE ('a', 1) IN (millrace.secrets)
SELECT 1 WHERE 'a' GLOBAL NOT IN millrace.secrets
SELECT * FROM hits AS h JOIN millrace.secrets AS s ON 1 = 1
SELECT * FROM hits, millrace.secrets
SELECT 1 UNION ALL SELECT n FROM millrace.secrets
SELECT 1 EXCEPT SELECT n FROM millrace.secrets
SELECT * FROM merge('millrace', 'secrets')
SELECT * FROM merge(REGEXP('mill.*'), '.*')
SELECT * FROM mergeTreeIndex('millrace', 'secrets')
SELECT * FROM mergeTreeProjection('millrace', 'secrets', 'p')
SELECT * FROM remote('localhost', millrace.secrets)
SELECT * FROM remote('127.0.0.1', 'millrace', 'secrets')
SELECT * FROM cluster('default', millrace.secrets)
SELECT * FROM clusterAllReplicas('default', 'millrace.secrets')
SELECT * FROM loop(millrace.secrets)
SELECT * FROM loop('millrace', 'secrets')
SELECT * FROM view(SELECT * FROM millrace.secrets)
SELECT * FROM viewIfPermitted(SELECT text FROM millrace.secrets ELSE null('text String'))
SELECT * FROM dictionary('millrace.secrets')
SELECT * FROM numbers((SELECT length(any(text)) FROM millrace.secrets))
SELECT * FROM values('x String', (SELECT any(text) FROM millrace.secrets))
SELECT * FROM file('FILE')
SELECT * FROM file('FILE', 'CSV', 'a String, n UInt8')
SELECT * FROM \`file\`('FILE', 'LineAsString')
SELECT * FROM 'FILE'
SELECT * FROM \`FILE\`
SELECT * FROM "FILE"
FROM 'FILE'
SELECT * FROM default.\`FILE\`
SELECT 1 IN \`FILE\`
DESCRIBE TABLE \`FILE\`
SELECT file('FILE')
SELECT \`file\`('FILE')
SELECT FILE('FILE')
SELECT arrayMap(x -> file(x), ['FILE'])
SELECT * APPLY(file) FROM (SELECT 'FILE' AS x)
SELECT * APPLY(x -> file(x)) FROM (SELECT 'FILE' AS x)
SELECT * REPLACE (file('FILE') AS site) FROM hits LIMIT 1
SELECT if(1, file('FILE'), '')
SELECT 1 ORDER BY file('FILE')
SELECT count() OVER w FROM hits WINDOW w AS (ORDER BY file('FILE'))
SELECT site FROM hits LIMIT 1 BY file('FILE')
SELECT site FROM hits GROUP BY site HAVING file('FILE') != ''
SELECT site FROM hits PREWHERE file('FILE') != ''
SELECT site FROM hits QUALIFY file('FILE') != ''
SELECT number FROM numbers(3) ORDER BY number WITH FILL INTERPOLATE (number AS file('FILE'))
SELECT * FROM fileCluster('default', 'FILE')
SELECT * FROM url('file://FILE', 'LineAsString')
SELECT * FROM url('http://127.0.0.1:1/x', 'LineAsString')
SELECT * FROM s3('http://127.0.0.1:1/x')
SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')
SELECT * FROM postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')
SELECT * FROM sqlite('FILE', 'x')
SELECT * FROM executable('cat FILE', 'LineAsString', 'x String')
SELECT * FROM format(LineAsString, (SELECT file('FILE')))
SELECT * FROM input('x String')
SELECT * FROM fuzzQuery('SELECT * FROM millrace.secrets', 1, 1)
SELECT * FROM system.parts
SELECT * FROM system.processes
SELECT * FROM system.query_log
SELECT * FROM system.users
SELECT * FROM system.named_collections
SELECT * FROM information_schema.tables
SELECT * FROM INFORMATION_SCHEMA.COLUMNS
SELECT * FROM default.x
SELECT * FROM _temporary_and_external_tables.x
SELECT joinGet('millrace.secrets', 'n', 'a')
SELECT dictGet('millrace.secrets', 'text', 1)
SELECT hasColumnInTable('millrace', 'secrets', 'text')
SELECT catboostEvaluate('FILE', 1)
SELECT getMacro('x'), getServerSetting('max_connections'), getSetting('max_memory_usage')
SELECT hostName(), FQDN(), serverUUID()
SELECT sleep(3)
SELECT sleepEachRow(1) FROM numbers(100)
SELECT filesystemAvailable(), filesystemCapacity()
SELECT addressToLine(1)
SELECT formatRow('Template', 1)
SELECT 1 INTO OUTFILE 'OUT'
SELECT 1 INTO OUTFILE 'OUT' APPEND FORMAT TSV
(SELECT 1) INTO OUTFILE 'OUT'
SELECT 1 SETTINGS max_threads = 8
SELECT 1 FORMAT TSV SETTINGS readonly = 0
SELECT * FROM (SELECT * FROM hits SETTINGS additional_table_filters = {}, readonly = 0)
SELECT 1; SELECT * FROM millrace.secrets
SELECT 1 FORMAT TSV; SELECT * FROM millrace.secrets
SELECT 1 PARALLEL WITH SELECT * FROM millrace.secrets
EXPLAIN SELECT * FROM millrace.secrets
EXPLAIN AST SELECT 1; SELECT * FROM millrace.secrets
EXPLAIN ESTIMATE SELECT * FROM millrace.secrets
DESCRIBE TABLE millrace.secrets
DESCRIBE (SELECT * FROM file('FILE'))
DESCRIBE TABLE file('FILE')
SHOW CREATE TABLE millrace.secrets
SHOW TABLES FROM millrace
SHOW PROCESSLIST
SHOW SETTINGS LIKE '%'
SHOW GRANTS
EXISTS TABLE millrace.secrets
CHECK TABLE millrace.secrets
USE millrace
SET readonly = 0
SET max_execution_time = 0
SET param_x = 'a'
EXECUTE AS default SELECT * FROM millrace.secrets
INSERT INTO millrace.secrets VALUES ('x', 2)
INSERT INTO millrace.secrets SELECT 'x', 2
INSERT INTO FUNCTION file('OUT', 'TSV') SELECT 1
INSERT INTO hits SELECT * FROM hits
CREATE TABLE analytics.x (a UInt8) ENGINE = Memory
CREATE TEMPORARY TABLE x AS SELECT * FROM millrace.secrets
CREATE VIEW analytics.leak AS SELECT * FROM millrace.secrets
CREATE FUNCTION leak AS x -> file(x)
CREATE DATABASE leak ENGINE = Filesystem('/')
CREATE USER leak
ALTER TABLE millrace.secrets DELETE WHERE 1
DELETE FROM millrace.secrets WHERE 1
UPDATE millrace.secrets SET n = 2 WHERE 1
TRUNCATE TABLE millrace.secrets
DROP TABLE millrace.secrets
DROP DATABASE analytics
RENAME TABLE millrace.secrets TO analytics.leak
DETACH TABLE millrace.secrets
OPTIMIZE TABLE millrace.secrets
SYSTEM SHUTDOWN
SYSTEM STOP MERGES
KILL QUERY WHERE 1 SYNC
BACKUP TABLE millrace.secrets TO File('OUT')
GRANT ALL ON *.* TO default
BEGIN TRANSACTION
SELECT * FROM hits AS \`x, identifier: y\`
SELECT 1 AS \`a:b\`
harmless: SELECT 'SELECT * FROM millrace.secrets; DROP TABLE millrace.secrets'
harmless: SELECT $$' FROM millrace.secrets$$
harmless: SELECT 'it\\'s; \\\\', 'INTO OUTFILE ''OUT'''
harmless: SELECT name FROM system.tables
harmless: SELECT * FROM system.columns
harmless: SELECT name FROM system.databases
harmless: SELECT * FROM system.functions
harmless: SHOW TABLES
harmless: SELECT 1 -- \u2028 ; SELECT text FROM millrace.secrets
harmless: SELECT 1 AS \`millrace\`, 2 AS secrets`
  .trim()
  .split('\n')
  .map((line) => ({ harmless: line.startsWith('harmless: '), sql: line.replace(/^harmless: /, '') }))

/** The same by other ways than the statement. */
const OTHER_WAYS: readonly [title: string, query: string, body: string][] = [
  ['a database', 'database=millrace', 'SELECT * FROM secrets'],
  ['the database system', 'database=system', 'SELECT * FROM parts'],
  ['readonly taken back, and a file', 'readonly=0', "SELECT * FROM file('FILE')"],
  ['filters of tables', 'additional_table_filters={}', 'SELECT * FROM system.tables'],
  ['a file for the schema', 'output_format_schema=OUT', 'SELECT 1 FORMAT JSON'],
  ['a template', 'format_template_resultset=FILE', 'SELECT 1 FORMAT Template'],
  ['a format with a schema', 'format_schema=FILE:X', 'SELECT 1 FORMAT Protobuf'],
  [
    'the name of a table as parameter',
    'param_t=secrets&param_d=millrace',
    'SELECT * FROM {d:Identifier}.{t:Identifier}',
  ],
  ['one name as parameter', 'param_t=millrace.secrets', 'SELECT * FROM {t:Identifier}'],
  ['a name in another case', 'param_t=secrets', 'SELECT * FROM millrace.{t: identifier}'],
  ['two halves of a statement', 'query=SELECT * FROM ', 'millrace.secrets'],
  ['a comment that ends in the body', 'query=SELECT 1 /*', '*/ , text FROM millrace.secrets'],
  ['another dialect', 'dialect=kusto', 'millrace.secrets'],
  ['a role', 'allow_ddl=1', 'DROP TABLE millrace.secrets'],
  ['more memory', 'max_memory_usage_for_user=0', 'SELECT 1'],
  ['settings of functions', 'allow_introspection_functions=1', 'SELECT addressToLine(1)'],
  ['a limit without value', 'max_execution_time=0', 'SELECT sleep(1)'],
  ['a stage of the query', 'stage=with_mergeable_state', 'SELECT * FROM millrace.secrets'],
  ['a profile', 'profile=default', 'SELECT 1'],
]

describe('statements that want more than the views', () => {
  let server: SqlServer
  let out: string
  const placed = (text: string): string => text.replaceAll('FILE', server.canaryFile).replaceAll('OUT', out)

  beforeAll(async () => {
    server = await startSqlServer()
    out = join(server.dataDir, 'out.tsv')
  })
  afterAll(() => server?.close())

  const ask = async (query: string, body: string): Promise<{ status: number; text: string }> => {
    const response = await fetch(`${server.url}/clickhouse/?${query}`, { method: 'POST', body })
    const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join('\n')
    return { status: response.status, text: `${headers}\n${await response.text()}` }
  }

  test('there are enough of them', () => expect(ATTEMPTS.length + OTHER_WAYS.length).toBeGreaterThan(100))

  test('the canary would show: it is readable where nothing is checked', async () => {
    const rows = await server.store.query<{ text: string }>('SELECT text FROM millrace.secrets')
    expect(rows).toEqual([{ text: CANARY }])
    const files = await server.store.query<{ c1: string }>(`SELECT c1 FROM file('${server.canaryFile}', 'CSV')`)
    expect(files).toEqual([{ c1: CANARY }])
  })

  test.each(ATTEMPTS)('it gets nothing by: $sql', async ({ sql, harmless }) => {
    const { status, text } = await ask('', placed(sql))
    const asked = sql.includes(CANARY) ? text.replaceAll(sql, '') : text
    expect(asked).not.toContain(CANARY)
    if (harmless) expect([200, 403], text).toContain(status)
    else {
      expect(status, text).toBeGreaterThanOrEqual(400)
      expect(text).toContain('x-clickhouse-exception-code: ')
      // Refused for what it is, not by accident of the engine.
      expect(text).toMatch(/\((ACCESS_DENIED|READONLY|SYNTAX_ERROR|UNKNOWN_TABLE|UNKNOWN_IDENTIFIER)\)/)
    }
  })

  test("the words and the engine's tree each refuse what tries to read more", async () => {
    const names = await new SqlRunner(server.console).names()
    const session = await server.console.open({ params: new Map(), settings: {} })
    let looked = 0
    for (const { sql, harmless } of ATTEMPTS) {
      // Names without a dot, and what the engine does not take for a statement, do not come so far.
      const statement = await session
        .canonical(placed(sql))
        .then(readStatement)
        .catch(() => null)
      if (harmless || statement?.kind !== 'select' || /(FROM|IN) ['"`]FILE/.test(sql)) continue
      looked++
      const tree = await session.tree(withoutValues(statement))
      expect(() => checkTokens(statement, names), sql).toThrow('ACCESS_DENIED')
      expect(() => checkTree(tree, names), sql).toThrow('ACCESS_DENIED')
    }
    session.close()
    expect(looked).toBeGreaterThan(60)
  })

  test.each(OTHER_WAYS)('it gets nothing by %s', async (_title, query, body) => {
    const { status, text } = await ask(new URLSearchParams(placed(query)).toString(), placed(body))
    expect(text).not.toContain(CANARY)
    expect(status, text).toBeGreaterThanOrEqual(400)
  })

  test('nothing was made, changed or dropped', async () => {
    expect(existsSync(out)).toBe(false)
    expect(await server.store.query('SELECT * FROM millrace.secrets')).toEqual([{ text: CANARY, n: 1 }])
    const tables = await server.store.query("SELECT name FROM system.tables WHERE database = 'analytics' ORDER BY name")
    const names = ['events', 'hits', 'ledger', 'page_views', 'sessions']
    expect(tables).toEqual(names.map((name) => ({ name })))
    const functions = await server.store.query("SELECT name FROM system.functions WHERE origin != 'System'")
    expect(functions).toEqual([])
  })
})
