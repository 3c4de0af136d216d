/**
 * Checks a stopped data folder in a process of its own: `node --conditions=source --import tsx test/e2e/check/cli.ts JSON`.
 * JSON: CheckOptions with the journal's path, and `plant`, a statement that falsifies the data first (to see the checks
 * bite). Prints the report as JSON.
 */
import { readJournal } from '@millrace/bench/load'
import { openStore } from '@millrace/store'
import { checkFolder } from './check-folder.ts'
import type { CheckRequest } from './run-check.ts'

const { plant, journalPath, ...options } = JSON.parse(process.argv[2]!) as CheckRequest
if (plant) {
  const store = await openStore(
    'dataDir' in options ? { dataDir: options.dataDir } : { url: options.clickhouseUrl, dataDir: '' },
  )
  await store.command(plant, { settings: { mutations_sync: 1 } })
  await store.close()
}
const report = await checkFolder({ ...options, ...(journalPath && { journal: readJournal(journalPath) }) })
process.stdout.write(JSON.stringify(report), () => process.exit(0))
