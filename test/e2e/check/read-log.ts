import { join } from 'node:path'
import { type EventLog, openEmbeddedLog, openKafkaLog, type StoredRecord } from '@millrace/log'
import type { PartitionRecords } from '@millrace/recount'
import { AGGREGATOR_GROUP, decodeEnriched, HITS_ENRICHED, HITS_RAW, SALTS } from '@millrace/shared'
import type { Findings } from './findings.ts'

/** The log of a stopped installation. */
export interface StoppedLog {
  readonly epoch: number
  readonly partitions: number
  /** Salts by date: the first of a date counts. */
  readonly salts: ReadonlyMap<string, Buffer>
  rawPartitions(): Iterable<PartitionRecords>
  /** Follows the chain of every partition to its end: rows that its accepted records hold. */
  checkChain(findings: Findings): Promise<number>
  close(): Promise<void>
}

/** Opens the log in `dataDir`. Nothing else may have it open. */
export async function openStoppedLog(dataDir: string): Promise<StoppedLog> {
  return await stoppedLogOf(await openEmbeddedLog({ dir: join(dataDir, 'log'), hitPartitions: 1, retentionHeld: true }))
}

/** The topics on a running broker whose writers have ended. */
export async function openStoppedTopics(brokers: readonly string[]): Promise<StoppedLog> {
  return await stoppedLogOf(await openKafkaLog({ brokers, logger: { debug: () => {}, warn: () => {} } }))
}

async function stoppedLogOf(log: EventLog): Promise<StoppedLog> {
  const reader = log.reader()
  const partitions = await log.admin().partitions(HITS_RAW.name)
  const everything = (topic: string, partition: number) => reader.read(topic, partition, 0, Number.MAX_SAFE_INTEGER)
  const salts = new Map<string, Buffer>()
  for await (const records of everything(SALTS.name, 0)) {
    for (const { key, value } of records) {
      if (key && value && !salts.has(key.toString())) salts.set(key.toString(), value)
    }
  }
  return {
    epoch: await log.epoch(),
    partitions,
    salts,
    *rawPartitions() {
      for (let partition = 0; partition < partitions; partition++) {
        yield { partition, batches: everything(HITS_RAW.name, partition) }
      }
    },
    checkChain: (findings) => checkChain(log, partitions, findings),
    close: () => log.close(),
  }
}

/** Addresses as the load generator makes them, and what its user agents begin with. */
const SOMEBODY = /\b1\d\d\.(?:\d{3}\.){2}\d{3}\b|Mozilla\/5\.0/

/** Whether a text holds an address or a user agent of the load. */
export const namesSomebody = (text: string): boolean => SOMEBODY.test(text)

function checkNobodyIsNamed(findings: Findings, partition: number, { offset, value, headers }: StoredRecord): void {
  const privacy = 'I9 nothing behind the enricher holds an address or a user agent'
  findings.compared(privacy, 1)
  const texts = [value, ...Object.values(headers)].map((bytes) => bytes?.toString('latin1') ?? '')
  if (texts.some(namesSomebody)) findings.wrong(privacy, `hits.enriched, partition ${partition}, record ${offset}`)
}

async function checkChain(log: EventLog, partitions: number, findings: Findings): Promise<number> {
  const chain = 'I4 the chain of hits.enriched is contiguous'
  const rawEnds = await log.admin().endOffsets(HITS_RAW.name)
  const enrichedEnds = await log.admin().endOffsets(HITS_ENRICHED.name)
  const committed = await log.admin().committed(AGGREGATOR_GROUP, HITS_ENRICHED.name)
  let rows = 0
  for (let partition = 0; partition < partitions; partition++) {
    let head = -1
    let nextSource = 0
    for await (const records of log.reader().read(HITS_ENRICHED.name, partition, 0, Number.MAX_SAFE_INTEGER)) {
      for (const stored of records) {
        checkNobodyIsNamed(findings, partition, stored)
        const record = decodeEnriched(stored)
        if (record.prev !== head) continue
        findings.same(chain, `partition ${partition}, record ${stored.offset}: src_from`, nextSource, record.srcFrom)
        head = stored.offset
        nextSource = record.srcTo + 1
        rows += record.rows
      }
    }
    findings.same(chain, `partition ${partition}: end of the source`, rawEnds.get(partition) ?? 0, nextSource)
    const left = 'I6 nothing is left to insert'
    const position = committed.get(partition)?.offset ?? 0
    const end = enrichedEnds.get(partition) ?? 0
    // Records that the chain rejects may stand behind the last accepted one: nobody has anything to do for them.
    const says = `partition ${partition}: position ${position}, last accepted ${head}, end ${end}: nothing is left`
    findings.same(left, says, true, position > head && position <= end)
  }
  return rows
}
