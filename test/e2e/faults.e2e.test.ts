import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missingTools } from '../../infra/cluster/cluster.mjs'
import { type CheckReport, tableOf } from './check/findings.ts'
import { type FaultResult, faultRun } from './faults/fault-run.ts'
import { GROUND_FAULTS, SERVICE_FAULTS } from './faults/faults.ts'

const missing = await missingTools()
const skip = missing !== null && !process.env.CI
if (skip) console.warn(`The fault list is not tested: ${missing}`)

/** How long things go wrong. Each fault happens at least once, however long that takes. */
const MINUTES = 5
const SEED = Number(process.env.FAULTS_SEED ?? 1)
/** A bound for a machine that is many times slower: the run ends by itself when all is counted. */
const ENDS_WITHIN_MS = 60 * 60_000
const CHECKS_WITHIN_MS = 15 * 60_000

/** The bounded form of `npm run e2e -- faults`, on one broker. */
describe.skipIf(skip)('the services on Kafka and ClickHouse, while everything goes wrong', () => {
  let result: FaultResult
  const lines: string[] = []
  const wrongOf = ({ checks }: CheckReport) => checks.filter(({ wrong }) => wrong > 0).map(({ name }) => name)

  beforeAll(async () => {
    result = await faultRun({
      ...{ minutes: MINUTES, seed: SEED, nodes: 1, rate: 800, partitions: 6, longestStopMs: 12_000 },
      ...{ only: /./, sessionTimeoutMinutes: 1, zone: 'Europe/Vienna' },
      say: (text) => {
        lines.push(text)
        console.info(text)
      },
    }).catch((error: Error) => {
      throw new Error(`${error.message}\n${lines.join('\n')}`, { cause: error })
    })
    console.info(JSON.stringify(result.evidence, null, 1))
  }, ENDS_WITHIN_MS)
  afterAll(() => result?.clean(), CHECKS_WITHIN_MS)

  test('every answered hit is stored once, and all numbers equal an independent recount', () => {
    expect(result.report.ok, `${lines.join('\n')}\n${tableOf(result.report)}`).toBe(true)
    expect(result.report.facts).toMatchObject({ answered: result.load.answeredHits, sent: result.load.sentHits })
    expect(result.report.facts.kept).toBeGreaterThan(5_000)
  })

  test('every fault of the list has happened', () => {
    const names = [...SERVICE_FAULTS, ...GROUND_FAULTS].map(({ name }) => name)
    expect([...result.struck.keys()].sort()).toEqual(names.sort())
    expect(result.poisoned).toBeGreaterThan(0)
  })

  // The data are spoiled from here on: the tests of the checks themselves come last.
  test('the check notices rows that were inserted a second time', { timeout: CHECKS_WITHIN_MS }, async () => {
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
