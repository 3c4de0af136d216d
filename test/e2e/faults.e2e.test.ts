import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missingTools } from '../../infra/cluster/cluster.mjs'
import { describeReport } from '../../services/standalone/src/verify/findings.ts'
import { type CheckReport, tableOf } from './check/findings.ts'
import { type FaultOptions, type FaultResult, faultRun } from './faults/fault-run.ts'
import { GROUND_FAULTS, SERVICE_FAULTS } from './faults/faults.ts'

const missing = await missingTools()
const skip = missing !== null && !process.env.CI
if (skip) console.warn(`The fault list is not tested: ${missing}`)

const SEED = Number(process.env.FAULTS_SEED ?? 1)
/** Bounds for a machine that is many times slower: a run ends by itself when all is counted. */
const ENDS_WITHIN_MS = 60 * 60_000
const CHECKS_WITHIN_MS = 15 * 60_000

const wrongOf = ({ checks }: Pick<CheckReport, 'checks'>) =>
  checks.filter(({ wrong }) => wrong > 0).map(({ name }) => name)

/** One broker, little load. What it says is shown when it does not come to its end. */
async function run(options: Pick<FaultOptions, 'minutes' | 'only' | 'without'>, lines: string[]): Promise<FaultResult> {
  const result = await faultRun({
    ...{ seed: SEED, nodes: 1, rate: 800, partitions: 6, longestStopMs: 12_000 },
    ...{ sessionTimeoutMinutes: 1, zone: 'Europe/Vienna', ...options },
    say: (text) => {
      lines.push(text)
      console.info(text)
    },
  }).catch((error: Error) => {
    throw new Error(`${error.message}\n${lines.join('\n')}`, { cause: error })
  })
  console.info(JSON.stringify(result.evidence, null, 1))
  return result
}

/** The bounded form of `npm run e2e -- faults`: each fault at least once, however long that takes. */
describe.skipIf(skip)('the services on Kafka and ClickHouse, while everything goes wrong', () => {
  let result: FaultResult
  const lines: string[] = []

  beforeAll(async () => {
    result = await run({ minutes: 1, only: /./, without: [] }, lines)
  }, ENDS_WITHIN_MS)
  afterAll(() => result?.clean(), CHECKS_WITHIN_MS)

  test('every answered hit is stored once, and all numbers equal an independent recount', () => {
    expect(result.report.ok, `${lines.join('\n')}\n${tableOf(result.report)}`).toBe(true)
    expect(result.report.facts).toMatchObject({ answered: result.load.answeredHits, sent: result.load.sentHits })
    expect(result.report.facts.kept).toBeGreaterThan(5_000)
  })

  test('millrace verify has compared everything, and finds no difference', () => {
    expect(result.verified.ok, describeReport(result.verified)).toBe(true)
    expect(result.verified.not_compared).toEqual([])
    expect(result.verified.facts.raw_hits).toBe(result.verified.facts.rows)
    expect(result.verified.facts.rows).toBeGreaterThan(result.report.facts.kept!)
  })

  test('every fault of the list has happened', () => {
    const names = new Set([...SERVICE_FAULTS, ...GROUND_FAULTS].map(({ name }) => name))
    expect([...result.struck.keys()].sort()).toEqual([...names].sort())
    expect(result.poisoned).toBeGreaterThan(0)
  })

  test('records that came a second time were left out by the chain', () => {
    expect(result.evidence['records of others rejected by the chain']).toBeGreaterThan(0)
  })

  // The data are spoiled from here on: the tests of the checks themselves come last.
  test('both comparisons notice rows that were inserted a second time', { timeout: CHECKS_WITHIN_MS }, async () => {
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
    const verified = await result.verify()
    expect(verified.ok).toBe(false)
    expect(verified.checks.filter(({ wrong }) => wrong > 0).map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'I1 every raw hit of the log has its row',
        'I2 a raw hit has one row',
        'I3 daily_hits equals a recount of hits',
      ]),
    )
  })
})

/** What would be seen if the aggregators took records that the chain leaves out: what came again counts again. */
describe.skipIf(skip)('the services without the chain rule', () => {
  let result: FaultResult

  beforeAll(async () => {
    result = await run({ minutes: 0, only: /appended again/, without: ['the chain rule'] }, [])
  }, ENDS_WITHIN_MS)
  afterAll(() => result?.clean(), CHECKS_WITHIN_MS)

  test('count wrong, and the comparisons say so', () => {
    expect(wrongOf(result.report)).toEqual(
      expect.arrayContaining(['I1 a hit is kept once', 'I2 a raw hit has one row']),
    )
    expect(result.verified.ok).toBe(false)
  })
})
