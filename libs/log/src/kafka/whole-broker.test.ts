import { describe, expect, it } from 'vitest'
import { brokerClass, wantWholeBrokers } from './whole-broker.ts'

describe('wantWholeBrokers', () => {
  it('a broker is connected when it has told its versions, and not before', () => {
    wantWholeBrokers()
    wantWholeBrokers()
    const { prototype } = brokerClass()
    const broker = (versions: object | null, isConnected: boolean) =>
      Object.assign(Object.create(prototype), { versions, connectionPool: { isConnected: () => isConnected } })
    expect(broker(null, true).isConnected()).toBe(false)
    expect(broker({}, true).isConnected()).toBe(true)
    expect(broker({}, false).isConnected()).toBe(false)
  })
})
