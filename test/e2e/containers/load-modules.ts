/**
 * Testcontainers is installed when there is an engine to use it with, into a folder of its own: most who install Millrace
 * have none, and its packages are many.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** 12 does not load on Node 20. */
const VERSION = '11.14.0'
const FOLDER = fileURLToPath(new URL('../../../node_modules/.cache/millrace-containers', import.meta.url))

/** What is used of a container, in the words of testcontainers 11. */
interface Container {
  withEnvironment(values: Record<string, string>): this
  withUlimits(limits: Record<string, { hard: number; soft: number }>): this
  start(): Promise<StartedContainer>
}
export interface StartedContainer {
  getHost(): string
  getMappedPort(port: number): number
  exec(command: string[]): Promise<{ output: string; exitCode: number }>
  stop(): Promise<unknown>
}
interface Modules {
  readonly KafkaContainer: new (image: string) => Container & { withKraft(): Container }
  readonly ClickHouseContainer: new (
    image: string,
  ) => Container & {
    withUsername(name: string): Container & { withPassword(password: string): Container }
  }
}

/** The modules, installed at the first call. @throws Error when npm cannot */
export async function loadModules(): Promise<Modules> {
  const names = ['@testcontainers/kafka', '@testcontainers/clickhouse'] as const
  if (!names.every((name) => existsSync(join(FOLDER, 'node_modules', name)))) {
    mkdirSync(FOLDER, { recursive: true })
    writeFileSync(join(FOLDER, 'package.json'), '{ "private": true }\n')
    const packages = names.map((name) => `${name}@${VERSION}`)
    const quiet = ['--no-audit', '--no-fund', '--loglevel=error', '--ignore-scripts']
    execFileSync('npm', ['install', '--prefix', FOLDER, ...quiet, ...packages], { stdio: 'inherit' })
  }
  const resolver = createRequire(join(FOLDER, 'package.json'))
  const loaded = await Promise.all(names.map((name) => import(pathToFileURL(resolver.resolve(name)).href)))
  return Object.assign({}, ...loaded.map((module) => module.default ?? module)) as Modules
}
