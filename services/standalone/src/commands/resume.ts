import { openConfigBook, openConfigWriter } from '@millrace/config'
import { acceptHoles } from '../operate/accept-holes.ts'
import type { Hole } from '../operate/holes.ts'
import { openPlace } from '../operate/open-place.ts'
import { findInstance } from '../operate/running-instance.ts'
import { OPERATOR_COMMAND, type OperatorSettings, settingsFrom } from '../settings.ts'
import { type Command, type OptionValues, settingsHelp } from './command.ts'

export const command: Command = {
  help: `Usage: millrace resume [--accept-gap] [options]

The enricher stops in front of a hole of hits.raw: records that were gone before it had read them, after an outage longer than
the log keeps them. What is missing is lost for good. Without --accept-gap the holes are listed; with it the enricher goes on
behind them, at once and by itself, and the acceptance stands in millrace.config.

  --accept-gap      goes on without what is missing
  --partition N     only this partition
  --url URL         the instance
  --data-dir DIR    the folder of an instance that does not run

${settingsHelp(OPERATOR_COMMAND)}`,
  options: {
    'accept-gap': { type: 'boolean' },
    partition: { type: 'string' },
    url: { type: 'string' },
    'data-dir': { type: 'string' },
  },

  async run(values) {
    const settings = settingsFrom(OPERATOR_COMMAND, process.env)
    const accept = values['accept-gap'] === true
    const holes = await findOrAccept(settings, values, accept, readPartition(values.partition))
    for (const { partition, from, to } of holes) {
      const what = `partition ${partition} of hits.raw: ${to - from} records from offset ${from} to ${to - 1} are missing`
      console.log(accept ? `${what}; the enricher goes on at ${to}` : what)
    }
    if (holes.length === 0) console.log('there is no hole: nothing has to be resumed')
    else if (!accept) console.log('to go on without them: millrace resume --accept-gap')
  },
}

/** @throws Error when it is none */
function readPartition(text: unknown): number | null {
  if (text === undefined) return null
  if (!/^\d{1,5}$/.test(String(text))) throw new Error('--partition must be a whole number')
  return Number(text)
}

async function findOrAccept(
  settings: OperatorSettings,
  { url, 'data-dir': dataDir }: OptionValues,
  accept: boolean,
  partition: number | null,
): Promise<readonly Hole[]> {
  const instance = await findInstance(settings, url as string | undefined, dataDir as string | undefined)
  if (instance) {
    const answer = await instance.ask('POST', '/v1/resume', {
      accept_gap: accept,
      ...(partition !== null && { partition }),
    })
    return ((await answer.json()) as { holes: Hole[] }).holes
  }
  const { log, close } = await openPlace(settings, dataDir as string | undefined)
  const config = await openConfigBook(log)
  const writer = openConfigWriter(log, config)
  try {
    return await acceptHoles({ log, config, writer }, accept, partition)
  } finally {
    await writer.close()
    await config.close()
    await close()
  }
}
