import { innerClass, mendOnce } from './inner-class.ts'

/** The queue of a connection's requests in kafkajs, as far as it is touched here. */
export interface RequestQueue {
  /** Requests that wait because the broker throttles, or too many are in flight. */
  readonly pending: readonly unknown[]
  /** Sets a timer to look at them, unless one is set. */
  scheduleCheckPendingRequests(): void
}

export const requestQueueClass = () => innerClass<RequestQueue>('network/requestQueue/index.js')

/**
 * Guard 12: the client sets that timer also when nothing waits. It fires after 1 ms, finds nothing and sets itself again,
 * for as long as the connection lives: 1,000 times a second for each. Every way to a waiting request sets the timer anew,
 * so nothing is lost when it is set for waiting requests only. See docs/decisions/0004.
 */
export function calmRequestQueues(): void {
  mendOnce(requestQueueClass(), 'calm', (prototype) => {
    const schedule = prototype.scheduleCheckPendingRequests
    prototype.scheduleCheckPendingRequests = function (this: RequestQueue): void {
      if (this.pending.length > 0) schedule.call(this)
    }
  })
}
