/** What a fault may hit; without `on` it hits inserts. */
interface Target {
  readonly on?: 'insert' | 'select' | 'any'
  /** Text that the statement or its log_comment has. */
  readonly match?: string
  /** How often, default once; null = until faults.clear(). */
  readonly times?: number | null
}

/** One way to fail. `before`: the statement did not run; `after`: it did; `midway`: it was ended after `afterMs` of its run. */
export type Fault = Target &
  (
    | { readonly kind: 'refuse'; readonly when: 'before' | 'after'; readonly code: number; readonly type: string }
    | {
        readonly kind: 'refuse'
        readonly when: 'midway'
        readonly afterMs: number
        readonly code: number
        readonly type: string
      }
    /** The connection ends when so many bytes of the body have come; nothing runs. */
    | { readonly kind: 'cut_request'; readonly afterBytes: number }
    /** The statement runs; the connection ends in the middle of the answer. */
    | { readonly kind: 'cut_response' }
    /** The statement runs; the connection ends before the first byte of the answer. */
    | { readonly kind: 'lose_answer' }
    | { readonly kind: 'delay'; readonly when: 'before' | 'after'; readonly ms: number }
  )

export const TABLE_IS_READ_ONLY = { code: 242, type: 'TABLE_IS_READ_ONLY' } as const
export const NOT_ENOUGH_SPACE = { code: 243, type: 'NOT_ENOUGH_SPACE' } as const

/** Faults that are set, in the process of the server. */
export class FaultPlan {
  readonly #faults: { fault: Fault; left: number }[] = []
  #fired = 0

  get fired(): number {
    return this.#fired
  }

  add(fault: Fault): void {
    this.#faults.push({ fault, left: fault.times === null ? Number.POSITIVE_INFINITY : (fault.times ?? 1) })
  }

  clear(): void {
    this.#faults.length = 0
  }

  /** The first fault for this statement, used up by one; of each request only one fires. */
  take(kind: string, text: string): Fault | undefined {
    const found = this.#faults.find(({ fault: { on = 'insert', match = '' }, left }) => {
      return left > 0 && (on === 'any' || on === kind) && text.includes(match)
    })
    if (!found) return undefined
    found.left--
    this.#fired++
    return found.fault
  }
}
