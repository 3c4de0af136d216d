import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missingTools } from '../../infra/cluster/cluster.mjs'
import { type CheckReport, tableOf } from './check/findings.ts'
import { type FaultResult, faultRun } from './faults/fault-run.ts'
import { GROUND_FAULTS, SERVICE_FAULTS } from './faults/faults.ts'

const missing = await missingTools()
const skip = missing !== null && !process.env.CI
if (skip) console.warn(`The fault list is not tested: ${missing}`)

/** Those that take longest and resemble another of the list, or what cluster.e2e.test.ts and the contract tests do, are left to the long form. */
const LONG = /storm|deleted$|every enricher|every broker|inserts that fail|SIGSTOP of (one collector|ClickHouse)/
const ONLY = new RegExp(`^(?!.*(${LONG.source}))|aggregators deleted`)
const CHOSEN = [...SERVICE_FAULTS, ...GROUND_FAULTS].filter(({ name }) => ONLY.test(name))

/** The short form of `npm run e2e -- faults`: each fault of a choice once. */
describe.skipIf(skip)('the services on Kafka and ClickHouse, while everything goes wrong', () => {
  let result: FaultResult
  const lines: string[] = []
  const wrongOf = ({ checks }: CheckReport) => checks.filter(({ wrong }) => wrong > 0).map(({ name }) => name)

  beforeAll(async () => {
    result = await faultRun({
      ...{ minutes: 0, seed: Date.now() % 1_000_000, nodes: 1, rate: 800, partitions: 6, longestStopMs: 11_000 },
      ...{ only: ONLY, sessionTimeoutMinutes: 1, zone: 'Europe/Vienna', say: (text) => lines.push(text) },
    }).catch((error: Error) => {
      throw new Error(`${error.message}\n${lines.join('\n')}`, { cause: error })
    })
  }, 900_000)
  afterAll(() => result?.clean())

  test('every answered hit is stored once, and all numbers equal an independent recount', () => {
    expect(result.report.ok, `${lines.join('\n')}\n${tableOf(result.report)}`).toBe(true)
    expect(result.report.facts).toMatchObject({ answered: result.load.answeredHits, sent: result.load.sentHits })
    expect(result.report.facts.kept).toBeGreaterThan(5_000)
  })

  test('every chosen fault has happened', () => {
    expect(CHOSEN.length).toBeGreaterThan(10)
    expect([...result.struck.keys()].sort()).toEqual(CHOSEN.map(({ name }) => name).sort())
    expect(result.poisoned).toBeGreaterThan(0)
  })

  // The data are spoiled from here on: the tests of the checks themselves come last.
  test('the check notices rows that were inserted a second time', async () => {
    const plant = `INSERT INTO millrace.hits SELECT * FROM millrace.hits WHERE (kp, ko) IN (
      SELECT kp, ko FROM millrace.hits WHERE verdict = 'keep' AND type = 'page_view' ORDER BY kp, ko LIMIT 1)`
    expect(wrongOf(await result.check(plant))).toEqual(
      expect.arrayContaining([
        'I1 a hit is kept once',
        'I2 a raw hit has one row',
        'I2 a kept hit_id has one row',
        'I3 daily_hits equals a recount of hits',
      ]),
    )
  })
})
