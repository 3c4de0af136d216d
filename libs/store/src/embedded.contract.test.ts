import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { openStore } from './open-store.ts'
import { storeContract } from './store.suite.ts'

const dataDir = mkdtempSync(join(tmpdir(), 'millrace-store-'))
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

storeContract('embedded', () => openStore({ dataDir }))
