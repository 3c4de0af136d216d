import { openWhole } from '../operate/open-place.ts'
import { findInstance, linesOf } from '../operate/running-instance.ts'
import { OPERATOR_COMMAND, type OperatorSettings, settingsFrom } from '../settings.ts'
import { describeReport, type VerifyReport } from '../verify/findings.ts'
import { verify } from '../verify/verify.ts'
import { type Command, settingsHelp } from './command.ts'

export const command: Command = {
  help: `Usage: millrace verify [options]

Recounts what was stored, by rules written a second time, and compares: every raw hit of the log with its row, the chain of
hits.enriched, every rollup with its rows, every session with its hits, and hits and sessions with a recount of hits.raw.
Hits may come in meanwhile: it looks at what is counted. It changes nothing.

It asks the instance at --url, MILLRACE_URL or ${'http://127.0.0.1:8700'}; if none runs there it opens MILLRACE_DATA_DIR, or Kafka and
ClickHouse if MILLRACE_LOG is kafka. It prints each difference with where it is, and what could not be compared because the
log does not have it any more. It ends with 0 if nothing differs, with 1 if something does.

  --url URL         the instance
  --data-dir DIR    the folder of an instance that does not run
  --json            prints the report as JSON
  --quiet           says nothing while it works

${settingsHelp(OPERATOR_COMMAND)}`,
  options: {
    url: { type: 'string' },
    'data-dir': { type: 'string' },
    json: { type: 'boolean' },
    quiet: { type: 'boolean' },
  },

  async run({ url, 'data-dir': dataDir, json, quiet }) {
    const settings = settingsFrom(OPERATOR_COMMAND, process.env)
    const progress = (text: string): void => {
      if (!quiet) console.error(`verify: ${text}`)
    }
    const report = await makeReport(settings, { url, dataDir } as Place, progress)
    console.log(json ? JSON.stringify(report, null, 2) : describeReport(report))
    // What is left of the engine's threads must not keep the process.
    process.exit(report.ok ? 0 : 1)
  },
}

interface Place {
  readonly url: string | undefined
  readonly dataDir: string | undefined
}

async function makeReport(
  settings: OperatorSettings,
  { url, dataDir }: Place,
  progress: (text: string) => void,
): Promise<VerifyReport> {
  const instance = await findInstance(settings, url, dataDir)
  if (!instance) {
    const place = await openWhole(settings, dataDir)
    try {
      return await verify({ ...place, settings, progress })
    } finally {
      await place.close()
    }
  }
  progress(`asking ${instance.address}`)
  for await (const line of linesOf(await instance.ask('POST', '/v1/verify', {}))) {
    if (typeof line.progress === 'string') progress(line.progress)
    if (line.report) return line.report as VerifyReport
  }
  throw new Error('the instance ended its answer without a report')
}
