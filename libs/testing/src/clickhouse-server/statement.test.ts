import { describe, expect, it } from 'vitest'
import { insertFromFile, parseKill, parseStatement, replaceProcesses } from './statement.ts'

const parse = (text: string) => parseStatement(Buffer.from(text))

describe('a statement', () => {
  it.each([
    ['SELECT 1', 'select', null],
    ['-- a comment\n/* another ; */ WITH 1 AS x SELECT x FORMAT JSONEachRow;', 'select', 'JSONEachRow'],
    ["SELECT ' FORMAT CSV', `FORMAT`, (SELECT 2 FORMAT TSV)", 'select', null],
    ['(SELECT 1) SETTINGS max_threads = 1 FORMAT CSV', 'select', 'CSV'],
    ['create table t (a Int8) ENGINE = Null', 'other', null],
    ['KILL QUERY WHERE 1 FORMAT CSV', 'kill', 'CSV'],
    ['INSERT INTO t SELECT 1', 'insert', null],
    ["SELECT 'ü' FORMAT TSV", 'select', 'TSV'],
  ])('%s is %s with format %s', (text, kind, format) => {
    expect(parse(text)).toMatchObject({ kind, format, dataAt: null })
  })

  it.each([
    ['INSERT INTO t VALUES (1)', 'Values', ' (1)'],
    ['INSERT INTO values.t (`values`) VALUES(1)', 'Values', '(1)'],
    ['INSERT INTO t FORMAT CSV\n1;2', 'CSV', '1;2'],
    ['insert into t format JSONEachRow {"a": 1}', 'JSONEachRow', '{"a": 1}'],
    ['INSERT INTO t FORMAT Native\r\n\n\u0000', 'Native', '\n\u0000'],
    ['INSERT INTO t (ü) FORMAT TSV; \na', 'TSV', 'a'],
    ["INSERT INTO t SELECT a FROM input('a Int8') FORMAT Native\n\u0001", 'Native', '\u0001'],
  ])('%s takes %s data', (text, format, data) => {
    const statement = parse(text)
    expect(statement).toMatchObject({ kind: 'insert', format })
    expect(Buffer.from(text).subarray(statement.dataAt!).toString()).toBe(data)
  })

  it('is one: a second one is refused, a semicolon behind it is not', () => {
    expect(() => parse('SELECT 1; SELECT 2')).toThrow(/Multi-statements/)
    expect(parse("SELECT ';' ; -- end").sql).toBe("SELECT ';' ")
  })

  const file = { path: '/spool/f', compression: 'none' }
  it.each([
    ['INSERT INTO t (ü) FORMAT CSV', "INSERT INTO t (ü) FROM INFILE '/spool/f' COMPRESSION 'none' FORMAT CSV"],
    [
      'INSERT INTO t SETTINGS async_insert = 0 FORMAT CSV\n1',
      "INSERT INTO t FROM INFILE '/spool/f' COMPRESSION 'none' SETTINGS async_insert = 0 FORMAT CSV",
    ],
    [
      "INSERT INTO t SELECT f(x) FROM input('x Enum(\\'a\\' = 1)') WHERE x > (1) FORMAT Native\n",
      "INSERT INTO t SELECT f(x) FROM file('/spool/f', 'Native', 'x Enum(\\'a\\' = 1)', 'none') WHERE x > (1) ",
    ],
  ])('%s reads its data from a file', (text, expected) => {
    expect(insertFromFile(parse(text), file)).toBe(expected)
  })

  it('reads another table instead of system.processes, but not in a text', () => {
    const text = "SELECT 'ü system.processes' FROM `system`.one, system . processes WHERE 1"
    expect(replaceProcesses(parse(text), 'X')).toBe("SELECT 'ü system.processes' FROM `system`.one, X WHERE 1")
  })

  it.each([
    ["KILL QUERY WHERE Settings['sync'] = 'x' AND 1 ASYNC", " Settings['sync'] = 'x' AND 1", 'ASYNC'],
    ["KILL QUERY WHERE query_id = 'SYNC'", " query_id = 'SYNC'", 'ASYNC'],
    ['KILL QUERY WHERE 1 SYNC FORMAT JSON', ' 1', 'SYNC'],
    ['kill query where (1) test', ' (1)', 'TEST'],
  ])('%s is taken apart', (text, condition, mode) => {
    expect(parseKill(parse(text))).toEqual({ condition, mode })
  })

  it('refuses to kill what is no query', () => {
    expect(() => parseKill(parse("KILL MUTATION WHERE database = 'x'"))).toThrow(/KILL QUERY/)
  })
})
