import type { Assignment } from '@millrace/log'
import type { Owner } from './batch.ts'
import type { Cursor } from './chain.ts'
import type { Plan } from './plan.ts'

/** `starting`: its position and what the store holds are being looked at; `stopped`: a person has to look at it. */
export type Phase = 'starting' | 'active' | 'stopped'

/** A partition of hits.enriched while it is ours. */
export interface Partition extends Owner {
  readonly assignment: Assignment
  phase: Phase
  /** Where gathering stands: the next record to look at. */
  gathered: Cursor
  /** Behind the last record that was put into the queue: where the next share begins. */
  taken: Cursor
  /** Everything before is inserted. */
  done: Cursor
  /** The commit of the group does not say `done` yet. */
  dirty: boolean
  /** Committed, or perhaps committed, and not known to be inserted: nothing else may be committed meanwhile. */
  plan: Plan | null
  /** Where a delivery was found to leave something out; -1 = nowhere yet. */
  gapAt: number
  /** Not delivered while the queue is full. */
  paused: boolean
}

const NOWHERE: Cursor = { next: 0, head: -1, srcMax: -1 }

/** The partitions that are ours. */
export class Partitions {
  readonly #byNumber = new Map<number, Partition>()

  add(assignment: Assignment, kp: number): Partition {
    const partition: Partition = {
      partition: assignment.partition,
      kp,
      assignment,
      phase: 'starting',
      gathered: NOWHERE,
      taken: NOWHERE,
      done: NOWHERE,
      dirty: false,
      plan: null,
      gapAt: -1,
      paused: false,
    }
    this.#byNumber.set(assignment.partition, partition)
    return partition
  }

  get(number: number): Partition | undefined {
    return this.#byNumber.get(number)
  }

  remove(number: number): Partition | undefined {
    const partition = this.#byNumber.get(number)
    this.#byNumber.delete(number)
    return partition
  }

  /** Still ours since the object was made. */
  owns(partition: Partition): boolean {
    return this.#byNumber.get(partition.partition) === partition
  }

  all(): Partition[] {
    return [...this.#byNumber.values()]
  }

  inPhase(phase: Phase): Partition[] {
    return this.all().filter((partition) => partition.phase === phase)
  }

  /** Inserted further than the group's commits say, and free to commit so. */
  unsettled(): Partition[] {
    return this.inPhase('active').filter(({ dirty, plan }) => dirty && plan === null)
  }
}
