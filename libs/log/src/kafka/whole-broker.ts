import { innerClass, mendOnce } from './inner-class.ts'

/** A broker of kafkajs, as far as it is touched here. `versions`: of its requests; null = not told yet. */
export interface Broker {
  readonly versions: object | null
  isConnected(): boolean
}

export const brokerClass = () => innerClass<Broker>('broker/index.js')

/**
 * Guard 15: a broker that goes away between taking a connection and telling the versions of its requests counts as connected,
 * so that nobody asks it again, and every request to it fails with "Broker not connected" for ever. See docs/decisions/0006.
 */
export function wantWholeBrokers(): void {
  mendOnce(brokerClass(), 'whole', (prototype) => {
    const { isConnected } = prototype
    prototype.isConnected = function (this: Broker): boolean {
      return this.versions !== null && isConnected.call(this)
    }
  })
}
