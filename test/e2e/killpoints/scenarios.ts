import { openEmbeddedLog } from '@millrace/log'
import { hitId } from '@millrace/testing'
import { idsInLog } from '../../../services/collector/src/spool/spool.lab.fixture.ts'
import { runCheck } from '../check/run-check.ts'
import { judgeLog } from './judge-log.ts'
import { notesOf } from './life.ts'
import type { Place, Scenario } from './lives.ts'
import { numbersIn } from './pipeline-load.ts'

export type ScenarioName = 'log' | 'spool' | 'pipeline' | 'checkpoint'
type NamedScenario = Scenario & { readonly name: ScenarioName }

/** Appends, segments that roll, commits, expiry and compaction in the embedded log. */
const LOG: NamedScenario = {
  name: 'log',
  child: './log.child.ts',
  folders: ['log'],
  judge: async ({ journal }) => judgeLog(notesOf(journal)),
}

/** Batches of the enricher; an insert with all its views, and the commits around it. */
const PIPELINE: NamedScenario = {
  name: 'pipeline',
  child: './pipeline.child.ts',
  folders: ['log', 'clickhouse', 'inserts'],
  judge: judgeStore,
}

/** What the enricher remembers: put aside, and in a checkpoint behind every batch. */
const CHECKPOINT: NamedScenario = {
  name: 'checkpoint',
  child: './pipeline.child.ts',
  folders: ['aside'],
  judge: judgeStore,
}

/** Everything that the checks of the whole product find, and that every hit is kept once: the last life sent what was in doubt. */
async function judgeStore({ dir, journal }: Place): Promise<string[]> {
  const straight = [...new Set(numbersIn(notesOf(journal), 'answered'))].map(hitId)
  const report = await runCheck({ dataDir: dir, zone: 'UTC', sessionTimeoutMs: 30 * 60_000, straight })
  return report.checks.flatMap(({ name, wrong, examples }) => (wrong > 0 ? [`${name}: ${examples.join('; ')}`] : []))
}

/** Hits that wait in the collector's spool, and its way into the log. */
const SPOOL: NamedScenario = {
  name: 'spool',
  child: './spool.child.ts',
  folders: ['spool', 'log/topics/hits.raw'],
  judge: judgeSpool,
}

/** Every answered hit is in the log, and none is there twice. */
async function judgeSpool({ dir, journal }: Place): Promise<string[]> {
  const notes = notesOf(journal)
  const log = await openEmbeddedLog({ dir: `${dir}/log`, hitPartitions: 2 })
  const times = new Map<string, number>()
  for (const id of [...(await idsInLog(log)).values()].flat()) times.set(id, (times.get(id) ?? 0) + 1)
  await log.close()
  const lost = numbersIn(notes, 'answered').filter((number) => !times.has(hitId(number)))
  const doubled = [...times].filter(([, count]) => count > 1)
  return [
    ...notes.filter(([word]) => word === 'wrong').map((words) => words.join(' ')),
    ...lost.map((number) => `hit ${number} was answered and is not in the log`),
    ...doubled.map(([id, count]) => `hit ${id} is ${count} times in the log`),
  ]
}

export const SCENARIOS: readonly NamedScenario[] = [LOG, SPOOL, PIPELINE, CHECKPOINT]
