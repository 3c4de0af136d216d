import { innerClass, mendOnce } from './inner-class.ts'

/** A connection of kafkajs, as far as it is touched here: the bytes of an answer that has not come as a whole yet. */
export interface Connection {
  chunks: Buffer[]
  bytesBuffered: number
  bytesNeeded: number
  isConnected(): boolean
  connect(): Promise<unknown>
  disconnect(): Promise<unknown>
}

const SIZE_BYTES = 4

export const connectionClass = () => innerClass<Connection>('network/connection.js')

/**
 * Guard 14: a connection that breaks in the middle of an answer keeps the half of it and takes what the next socket brings for
 * the rest: from there on no request over it is ever answered, and a new socket does not help. See docs/decisions/0006.
 */
export function freshenConnections(): void {
  mendOnce(connectionClass(), 'fresh', (prototype) => {
    const { connect } = prototype
    prototype.connect = function (this: Connection): Promise<unknown> {
      if (!this.isConnected()) {
        this.chunks = []
        this.bytesBuffered = 0
        this.bytesNeeded = SIZE_BYTES
      }
      return connect.call(this)
    }
  })
}
