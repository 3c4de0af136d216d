import { CONFIG } from '@millrace/shared'
import type { EventLog, LogRecord } from './event-log.ts'

/** Key of the record of millrace.config that says which epoch the topics have, once something was moved into them. */
const MOVE_KEY = 'epoch'

/** A move into these topics. */
export interface Move {
  readonly epoch: number
  /** Id of the export. */
  readonly id: string
  /** All of its rows are in the store. */
  readonly done: boolean
}

/** The record that says so. A later one of the same key counts. */
export const moveRecord = ({ epoch, id, done }: Move): LogRecord => ({
  key: Buffer.from(MOVE_KEY),
  value: Buffer.from(JSON.stringify({ v: 1, epoch, moved: id, done })),
})

/** The move that was made into these topics; null = none. @throws Error for one of a newer version */
export async function readMove(log: Pick<EventLog, 'admin' | 'reader'>): Promise<Move | null> {
  const admin = log.admin()
  const reader = log.reader()
  try {
    const low = (await admin.lowOffsets(CONFIG.name)).get(0) ?? 0
    const end = (await admin.endOffsets(CONFIG.name)).get(0) ?? 0
    let move: Move | null = null
    for await (const records of reader.read(CONFIG.name, 0, low, end)) {
      for (const { key, value } of records) if (key?.toString() === MOVE_KEY && value) move = parse(value)
    }
    return move
  } finally {
    await reader.close()
    await admin.close()
  }
}

function parse(value: Buffer): Move {
  const { v, epoch, moved, done } = JSON.parse(value.toString()) as Record<string, unknown>
  if (v !== 1 || !Number.isSafeInteger(epoch))
    throw new Error(`${CONFIG.name}: the record ${MOVE_KEY} is of a newer version of Millrace`)
  return { epoch: epoch as number, id: String(moved), done: done === true }
}
