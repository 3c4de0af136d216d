import { fileURLToPath } from 'node:url'

/** Who may import whom: shared <- log, store, server, sdk, script <- services. Checked by `npm run check`. */
export default {
  forbidden: [
    {
      name: 'shared-imports-nothing-of-ours',
      comment: 'libs/shared is the vocabulary: everything imports it, it imports no other package.',
      severity: 'error',
      from: { path: '^libs/shared/' },
      to: { path: '^(libs|services|bench|test)/', pathNot: '^libs/shared/' },
    },
    {
      name: 'a-library-imports-itself-and-shared',
      severity: 'error',
      from: { path: '^libs/([^/]+)/', pathNot: '^libs/(testing|config)/' },
      // Tests may use libs/testing: the rule about it says that nothing else may.
      to: { path: '^libs/', pathNot: '^libs/($1|shared|testing)/' },
    },
    {
      name: 'config-reads-and-writes-a-topic',
      comment: 'libs/config is the one library on top of a port: it knows the log, and only services know it.',
      severity: 'error',
      from: { path: '^libs/config/', pathNot: '\\.test\\.ts$' },
      to: { path: '^libs/', pathNot: '^libs/(config|log|shared)/' },
    },
    {
      name: 'libraries-know-no-service',
      severity: 'error',
      from: { path: '^libs/' },
      to: { path: '^services/' },
    },
    {
      name: 'services-talk-through-topics',
      comment: 'standalone wires the public start functions of the others, and is the one exception.',
      severity: 'error',
      from: { path: '^services/([^/]+)/', pathNot: '^services/standalone/' },
      to: { path: '^services/', pathNot: '^services/$1/' },
    },
    {
      name: 'testing-is-for-tests',
      severity: 'error',
      from: { path: '^(libs|services)/', pathNot: '(^libs/testing/|\\.test\\.ts$|\\.suite\\.ts$)' },
      to: { path: '^libs/testing/' },
    },
    {
      name: 'packages-by-their-public-face',
      comment: 'Another package is imported by its name, never by a path into its folder.',
      severity: 'error',
      from: { path: '^(libs|services)/([^/]+)/' },
      to: { path: '^(libs|services)/[^/]+/src/', pathNot: '(^$1/$2/|/src/index\\.ts$)' },
    },
    {
      name: 'steps-know-no-client',
      comment: 'A step of the pipeline is a pure function of its arguments.',
      severity: 'error',
      from: { path: '^services/enricher/src/(pipeline\\.ts|steps/)', pathNot: '\\.test\\.ts$' },
      to: { path: '(^libs/(log|store|server)/|/start\\.ts$|/facts\\.ts$)' },
    },
    only('kafkajs', '^libs/log/'),
    only('@clickhouse/client', '^libs/(store|testing)/'),
    only('chdb', '^libs/(store|testing)/'),
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(libs|services|bench|test)/.*/dist/' },
    tsConfig: { fileName: fileURLToPath(new URL('tsconfig.base.json', import.meta.url)) },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { conditionNames: ['source', 'import', 'node', 'default'], exportsFields: ['exports'] },
  },
}

function only(dependency, owner) {
  return {
    name: `only-one-package-imports-${dependency.replaceAll(/[^a-z]/g, '')}`,
    severity: 'error',
    from: { pathNot: owner },
    to: { path: `(^|node_modules/)${dependency}(/|$)` },
  }
}
