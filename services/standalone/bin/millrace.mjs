#!/usr/bin/env node
// `npx millrace`. Not built from a source: npm links commands when it installs, before anything is built.
import { existsSync } from 'node:fs'

const cli = new URL('../dist/cli.js', import.meta.url)
if (!existsSync(cli)) {
  process.stderr.write('millrace: not built yet; run `npm start` or `npm run build` first\n')
  process.exit(1)
}
await import(cli.href)
