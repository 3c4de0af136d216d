import { BlockWriter, type RowsByMonth, SESSION_BLOCK_COLUMNS } from '@millrace/shared'
import { MonthCount } from '../month-count.ts'
import { type OpenSessionRow, VISIT_COLUMNS } from '../visit.ts'
import type { PartitionState } from './partition-state.ts'
import { AHEAD, readAhead } from './read-ahead.ts'
import { emptySessionRow, fillSessionRow, type Session } from './session.ts'

/** The signed rows of a batch, as bytes: for every session that it changed its stored state and its new one. */
export class SessionChanges {
  readonly #kp: number
  readonly #writer = new BlockWriter<OpenSessionRow>(SESSION_BLOCK_COLUMNS, VISIT_COLUMNS)
  readonly #months = new MonthCount()
  readonly #row = emptySessionRow()

  constructor(kp: number) {
    this.#kp = kp
  }

  takeBack(session: Session): void {
    this.#write(session, -1)
  }

  /** Writes the new state of every touched session, and ends the batch. */
  finish(state: PartitionState): { sessions: Buffer; sessionRows: RowsByMonth } {
    const { touched } = state
    for (let i = 0; i < touched.length; i++) {
      if (i % AHEAD === 0) for (const session of touched.slice(i, i + AHEAD)) readAhead(session)
      this.#write(touched[i]!, 1)
      touched[i]!.touched = false
    }
    touched.length = 0
    state.putAside()
    return { sessions: this.#writer.finish(), sessionRows: this.#months.take() }
  }

  #write(session: Session, sign: 1 | -1): void {
    this.#writer.append(fillSessionRow(this.#row, session, sign, this.#kp))
    this.#months.add(session.day)
  }
}
