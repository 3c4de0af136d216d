import { describe } from 'vitest'
import { eventLogContract } from '../event-log.suite.ts'
import { openContractLog, reasonToSkip, startBroker } from './broker.fixture.ts'

const skip = await reasonToSkip()
if (skip) describe.skip(`EventLog contract: kafka (${skip})`, () => {})
else
  eventLogContract('kafka', async () => {
    const broker = await startBroker()
    const contract = await openContractLog(broker)
    return {
      get log() {
        return contract.log
      },
      another: contract.another,
      reopen: contract.reopen,
      passTime: contract.passTime,
      close: async () => {
        await contract.close()
        await broker.remove()
      },
    }
  })
