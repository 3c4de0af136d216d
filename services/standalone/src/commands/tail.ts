import { TOPICS } from '@millrace/shared'
import { openPlace } from '../operate/open-place.ts'
import { findInstance, linesOf } from '../operate/running-instance.ts'
import { type TailRequest, tailTopic } from '../operate/tail-topic.ts'
import { OPERATOR_COMMAND, type OperatorSettings, settingsFrom } from '../settings.ts'
import type { OptionValues } from './command.ts'
import { type Command, settingsHelp } from './command.ts'

const NAMES = TOPICS.map(({ name }) => name)

export const command: Command = {
  help: `Usage: millrace tail TOPIC [options]

Prints records of a topic, each as a line of JSON: rows and sessions of hits.enriched decoded, the lines of hits.raw parsed.
Addresses, user agents, user ids and headers are masked unless --show-personal is given; secrets and salts always are.

Topics: ${NAMES.join(', ')}

  --from WHERE        begin, end, an offset, -N for the last N of each partition, or a time such as
                      2026-11-22T10:00:00Z (-10; with --follow end)
  --partition N       only this partition
  --limit N           ends after so many records
  --follow            waits for more
  --show-personal     shows what tells who somebody is; a running instance notes that in its log
  --url URL           the instance
  --data-dir DIR      the folder of an instance that does not run

${settingsHelp(OPERATOR_COMMAND)}`,
  words: ['TOPIC'],
  options: {
    from: { type: 'string' },
    partition: { type: 'string' },
    limit: { type: 'string' },
    follow: { type: 'boolean', short: 'f' },
    'show-personal': { type: 'boolean' },
    url: { type: 'string' },
    'data-dir': { type: 'string' },
  },

  async run(values, words) {
    const request = readRequest(values, words)
    const settings = settingsFrom(OPERATOR_COMMAND, process.env)
    const ended = new AbortController()
    process.once('SIGINT', () => ended.abort())
    process.stdout.on('error', () => process.exit(0)) // head has seen enough
    for await (const record of recordsOf(settings, request, values, ended.signal)) console.log(JSON.stringify(record))
    if (!ended.signal.aborted) return
    process.exit(0)
  },
}

/** @throws Error naming what is wrong */
function readRequest(values: OptionValues, [topic, ...more]: readonly string[]): TailRequest {
  const name = topic ?? ''
  if (more.length > 0 || !NAMES.includes(name)) throw new Error(`say which topic: ${NAMES.join(', ')}`)
  const whole = (option: string): number | null => {
    const text = values[option]
    if (text === undefined) return null
    if (!/^\d{1,15}$/.test(String(text))) throw new Error(`--${option} must be a whole number`)
    return Number(text)
  }
  const follow = values.follow === true
  return {
    topic: name,
    partition: whole('partition'),
    from: (values.from as string | undefined) ?? (follow ? 'end' : '-10'),
    limit: whole('limit') ?? Number.POSITIVE_INFINITY,
    follow,
    personal: values['show-personal'] === true,
  }
}

async function* recordsOf(
  settings: OperatorSettings,
  request: TailRequest,
  { url, 'data-dir': dataDir }: OptionValues,
  signal: AbortSignal,
): AsyncGenerator<unknown> {
  const instance = await findInstance(settings, url as string | undefined, dataDir as string | undefined)
  if (instance) {
    const { topic, limit, partition, ...rest } = request
    const query = new URLSearchParams({ from: rest.from, follow: String(rest.follow), personal: String(rest.personal) })
    if (partition !== null) query.set('partition', String(partition))
    if (Number.isFinite(limit)) query.set('limit', String(limit))
    for await (const { record } of linesOf(await instance.ask('GET', `/v1/topics/${topic}?${query}`))) {
      if (signal.aborted) return
      yield record
    }
    return
  }
  const place = await openPlace(settings, dataDir as string | undefined)
  try {
    yield* tailTopic(place.log, request, signal)
  } finally {
    await place.close()
  }
}
