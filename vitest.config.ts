import { defineConfig } from 'vitest/config'

/** Packages are tested from their sources: the condition that each package.json names `source`. */
const fromSource = { resolve: { conditions: ['source'] }, ssr: { resolve: { conditions: ['source', 'node'] } } }

const ring = (name: string, include: string[], exclude: string[] = []) => ({
  ...fromSource,
  test: {
    name,
    include,
    exclude: ['**/node_modules/**', '**/dist/**', ...exclude],
    pool: 'forks' as const,
    // Units share the processors; what starts services and brokers has them alone.
    maxWorkers: name === 'unit' ? 2 : 1,
    sequence: { groupOrder: name === 'unit' ? 0 : 1 },
    setupFiles: name === 'unit' ? ['scripts/property-seed.ts'] : [],
    server: { deps: { inline: [/@millrace\//] } },
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})

export default defineConfig({
  test: {
    projects: [
      ring('unit', ['{libs,services,bench,scripts,test}/**/*.test.ts'], ['**/*.{contract,e2e,containers}.test.ts']),
      ring('contract', ['{libs,services}/**/*.contract.test.ts']),
      ring('e2e', ['test/e2e/**/*.e2e.test.ts'], ['test/e2e/faults.e2e.test.ts']),
      // Minutes of faults on a cluster, not part of `npm test`: npx vitest run --project faults.
      ring('faults', ['test/e2e/faults.e2e.test.ts']),
      ring('containers', ['test/e2e/**/*.containers.test.ts']),
    ],
    coverage: { provider: 'v8', include: ['{libs,services}/*/src/**/*.ts'] },
  },
})
