import { createRequire } from 'node:module'

/** A broker of kafkajs, as far as it is touched here. `versions`: of its requests; null = not told yet. */
export interface Broker {
  readonly versions: object | null
  isConnected(): boolean
}

const require = createRequire(import.meta.url)
const MADE_WHOLE = Symbol.for('millrace.wholeBroker')

/** kafkajs' class of it. It is no part of the public face of the package: libs/log/package.json pins the version. */
export const brokerClass = (): { readonly prototype: Broker & { [MADE_WHOLE]?: true } } =>
  require('kafkajs/src/broker/index.js')

/**
 * Guard 15: a broker that goes away between taking a connection and telling the versions of its requests counts as connected,
 * so that nobody asks it again, and every request to it fails with "Broker not connected" for ever.
 */
export function wantWholeBrokers(): void {
  const { prototype } = brokerClass()
  if (prototype[MADE_WHOLE]) return
  const { isConnected } = prototype
  prototype.isConnected = function (this: Broker): boolean {
    return this.versions !== null && isConnected.call(this)
  }
  prototype[MADE_WHOLE] = true
}
