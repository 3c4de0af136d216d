import { rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { migrate, openStore } from '@millrace/store'

/** A statement while there is a little room, and when there is enough again. */
const dataDir = process.argv[2]!
const LITTLE_BYTES = 8 * 1024 ** 2

const store = await openStore({ dataDir })
await migrate(store)
const filler = join(dataDir, 'filler')
const { bavail, bsize } = statfsSync(dataDir)
writeFileSync(filler, Buffer.alloc(bavail * bsize - LITTLE_BYTES))
const said = () =>
  store.command("ALTER TABLE millrace.hits MODIFY COMMENT 'room'").then(
    () => 'nothing',
    (error: Error) => error.message,
  )
const full = await said()
rmSync(filler)
const room = await said()
await store.close()
process.stdout.write(JSON.stringify({ full, room }))
