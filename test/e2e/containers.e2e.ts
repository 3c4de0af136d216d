/** `npm run e2e -- containers`: the contracts of log and store against Kafka and ClickHouse in containers. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const cwd = fileURLToPath(new URL('../..', import.meta.url))
const { status } = spawnSync('npx', ['vitest', 'run', '--project', 'containers'], { cwd, stdio: 'inherit' })
process.exitCode = status ?? 1
