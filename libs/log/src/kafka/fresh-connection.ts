import { createRequire } from 'node:module'

/** A connection of kafkajs, as far as it is touched here: the bytes of an answer that has not come as a whole yet. */
export interface Connection {
  chunks: Buffer[]
  bytesBuffered: number
  bytesNeeded: number
  isConnected(): boolean
  connect(): Promise<unknown>
  disconnect(): Promise<unknown>
}

const require = createRequire(import.meta.url)
const FRESHENED = Symbol.for('millrace.freshened')
const SIZE_BYTES = 4

/** kafkajs' class of it. It is no part of the public face of the package: libs/log/package.json pins the version. */
export const connectionClass = (): { readonly prototype: Connection & { [FRESHENED]?: true } } =>
  require('kafkajs/src/network/connection.js')

/**
 * Guard 14: a connection that breaks in the middle of an answer keeps the half of it and takes what the next socket brings for
 * the rest: from there on no request over it is ever answered, and a new socket does not help.
 */
export function freshenConnections(): void {
  const { prototype } = connectionClass()
  if (prototype[FRESHENED]) return
  const { connect } = prototype
  prototype.connect = function (this: Connection): Promise<unknown> {
    if (!this.isConnected()) {
      this.chunks = []
      this.bytesBuffered = 0
      this.bytesNeeded = SIZE_BYTES
    }
    return connect.call(this)
  }
  prototype[FRESHENED] = true
}
