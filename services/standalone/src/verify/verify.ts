import type { ConfigBook } from '@millrace/config'
import type { EventLog } from '@millrace/log'
import type { Store } from '@millrace/store'
import { readBounds } from './bounds.ts'
import { compareChain } from './compare-chain.ts'
import { compareLog } from './compare-log.ts'
import { compareRollups } from './compare-rollups.ts'
import { compareSessions } from './compare-sessions.ts'
import { Findings, type VerifyReport } from './findings.ts'
import { piecesOf } from './pieces.ts'
import { readMarks } from './read-marks.ts'
import { readRebuilt } from './rebuilt.ts'

const MINUTE_MS = 60_000

export interface VerifyParts {
  readonly log: EventLog
  readonly store: Pick<Store, 'query' | 'targets'>
  readonly config: Pick<ConfigBook, 'sites' | 'settingsOf' | 'siteRecords' | 'gapAt'>
  /** What holds for sites that do not say. */
  readonly settings: { readonly MILLRACE_TIMEZONE: string; readonly MILLRACE_SESSION_TIMEOUT_MINUTES: number }
  /** Hits come in meanwhile. */
  readonly isLive: boolean
  /** Told what is looked at, a line each. */
  readonly progress: (text: string) => void
}

/**
 * Recounts what is stored, from the log and from the rows, and compares: log, hits, rollups, sessions. Only what the
 * aggregator has committed as inserted is compared, so that hits may come in meanwhile. Changes nothing.
 */
export async function verify(parts: VerifyParts): Promise<VerifyReport> {
  const { log, store, isLive, progress } = parts
  const findings = new Findings()
  const bounds = await readBounds(log, findings)
  const rebuilt = await readRebuilt(store)
  for (const site of rebuilt.open) findings.notCompared(`rows of site ${site}: it is being rebuilt`)
  const marks = await readMarks(store)
  const shared = { log, store, findings, rebuilt, bounds, progress }
  const accepted = (partition: number, from: number, to: number): boolean => parts.config.gapAt(partition, from) === to
  for (const bound of bounds.partitions) {
    progress(`hits.enriched, partition ${bound.partition}`)
    await compareChain({ ...shared, accepted }, bound, marks)
  }
  await checkUnique(store, findings)
  progress('rollups and their rows')
  const flushes = bounds.partitions.flatMap(({ openFlush }) => openFlush ?? [])
  const flushInDoubt = async (): Promise<boolean> => {
    const now = await readBounds(log, new Findings())
    return now.partitions.some(({ openFlush }) => openFlush !== null && (!isLive || flushes.includes(openFlush)))
  }
  await compareRollups({ store, findings, isLive, rebuilt, flushInDoubt })
  progress('sessions and their hits')
  await compareSessions(shared)
  await compareLog({ ...shared, ...rulesOf(parts) })
  return findings.report()
}

/** All rows, also those of which the log has nothing any more. */
async function checkUnique(store: VerifyParts['store'], findings: Findings): Promise<void> {
  const pieces = await piecesOf(store, 'true')
  for (let piece = 0; piece < pieces; piece++) {
    const rows = await store.query<{ kp: number; rows: string; positions: string; low: string; high: string }>(
      `SELECT kp, count() AS rows, uniqExact(ko, ki) AS positions, min(ko) AS low, max(ko) AS high
       FROM millrace.hits WHERE ko % {pieces:UInt32} = {piece:UInt32} GROUP BY kp ORDER BY kp`,
      { params: { pieces, piece } },
    )
    for (const { kp, rows: stored, positions, low, high } of rows) {
      const where = `hits, kp ${kp}, raw offsets ${low} to ${high}: rows`
      findings.same('I2 a raw hit has one row', where, positions, stored)
      findings.count('rows', Number(stored))
    }
  }
}

function rulesOf({ config, settings }: VerifyParts) {
  const installation = {
    zone: settings.MILLRACE_TIMEZONE,
    timeoutMs: settings.MILLRACE_SESSION_TIMEOUT_MINUTES * MINUTE_MS,
  }
  const siteOf = (site: string) => {
    const said = config.settingsOf(site)
    return {
      zone: said?.timezone || installation.zone,
      sessionTimeoutMs: (said?.session_timeout_minutes ?? 0) * MINUTE_MS || installation.timeoutMs,
      userIds: said?.user_ids ?? false,
      allowsFloods: said?.disabled_bot_rules.includes('request_rate') ?? false,
    }
  }
  const timeouts = [...config.sites().keys()].map((site) => siteOf(site).sessionTimeoutMs)
  return {
    settings: {
      zone: installation.zone,
      sessionTimeoutMs: installation.timeoutMs,
      longestSessionTimeoutMs: Math.max(installation.timeoutMs, ...timeouts),
      siteOf,
    },
    changedAt: (site: string): number => {
      const record = config.siteRecords().get(site)
      // A site that was only made has had no other rules.
      return record && record.updated_at !== record.created_at ? Date.parse(record.updated_at) : 0
    },
  }
}
