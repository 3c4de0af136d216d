import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CheckReport, tableOf } from './check/findings.ts'
import { runCheck } from './check/run-check.ts'
import { type CrashResult, crashRun } from './crash/crash-run.ts'

/** The short form of `npm run e2e -- crash`. */
describe('killed again and again under load', () => {
  let result: CrashResult
  const lines: string[] = []
  const wrongOf = ({ checks }: CheckReport) => checks.filter(({ wrong }) => wrong > 0).map(({ name }) => name)

  beforeAll(async () => {
    result = await crashRun({
      ...{ kills: 4, insideInsert: 1, insideAppend: 0, maxKills: 5, rate: 5_000 },
      ...{ sessionTimeoutMinutes: 1, zone: 'Europe/Vienna', say: (text) => lines.push(text) },
    })
  })
  afterAll(() => result?.clean())

  test('every answered hit is stored once, and all numbers equal an independent recount', () => {
    expect(result.report.ok, `${lines.join('\n')}\n${tableOf(result.report)}`).toBe(true)
    expect(result.kills).toBeGreaterThanOrEqual(4)
    expect(result.report.facts.kept).toBeGreaterThan(5_000)
    expect(result.report.facts.sessions).toBeGreaterThan(1_000)
  })

  test('every answered hit of the load is among those compared', () => {
    expect(result.report.facts).toMatchObject({ answered: result.load.answeredHits, sent: result.load.sentHits })
  })

  // The folder is spoiled from here on: the tests of the checks themselves come last.
  test('the check notices a missing row', async () => {
    const plant = `ALTER TABLE millrace.hits DELETE WHERE (kp, ko, ki) IN (
      SELECT kp, ko, ki FROM millrace.hits WHERE verdict = 'keep' AND type = 'page_view' ORDER BY kp, ko, ki LIMIT 1)`
    expect(wrongOf(await runCheck({ ...result.request, plant }))).toEqual([
      'I1 every answered hit is stored',
      'I2 a raw hit has one row',
      'I3 daily_hits equals a recount of hits',
      'I3 daily_pages equals a recount of hits',
      'I5 daily totals equal the independent recount',
    ])
  })

  test('the check notices a session that is counted twice', async () => {
    const plant = `INSERT INTO millrace.sessions SELECT * FROM millrace.sessions WHERE site != '' AND sign = 1 LIMIT 1`
    const wrong = wrongOf(await runCheck({ ...result.request, plant }))
    expect(wrong).toContain('I3 daily_sessions equals a recount of sessions')
    expect(wrong).toContain('I5 sessions equal the independent recount')
  })
})
