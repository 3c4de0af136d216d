import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'

// No Docker engine is needed here: what of docker-compose.yml, the image and the balancer can be wrong without one.

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string): string => readFileSync(`${ROOT}${path}`, 'utf8')

interface Service {
  image: string
  build?: object
  restart?: string
  environment?: Record<string, unknown>
  healthcheck?: { test?: string[]; disable?: boolean }
  depends_on?: Record<string, { condition: string }>
  volumes?: string[]
}
const { services, volumes } = parse(read('docker-compose.yml'), { merge: true }) as {
  services: Record<string, Service>
  volumes: Record<string, null>
}
const entries = Object.entries(services)
const staying = entries.filter(([, { restart }]) => restart !== undefined)
const oneTime = entries.filter(([, { restart }]) => restart === undefined).map(([name]) => name)

describe('docker-compose.yml', () => {
  test('it has the services of the distributed shape', () => {
    expect(Object.keys(services).sort()).toEqual(
      [
        ...['admin-key', 'aggregator', 'balancer', 'clickhouse', 'collector-1', 'collector-2', 'enricher', 'kafka'],
        ...['migrate', 'topics'],
      ].sort(),
    )
    expect(oneTime.sort()).toEqual(['admin-key', 'migrate', 'topics'])
  })

  test.each(entries)('%s has an image of a fixed version', (_name, { image }) => {
    expect(image).toMatch(/^[a-z/-]+:\d+\.\d+/)
  })

  test.each(staying)('%s says how it is', (_name, { healthcheck, build }) => {
    // our own image has its HEALTHCHECK
    expect(healthcheck?.test ?? build).toBeTruthy()
    expect(healthcheck?.disable).toBeUndefined()
  })

  test.each(oneTime)('%s is awaited by a service that stays: up --wait would take its end for a failure', (name) => {
    const conditions = staying.map(([, service]) => service.depends_on?.[name]?.condition)
    expect(conditions).toContain('service_completed_successfully')
    expect(services[name]?.healthcheck?.disable).toBe(true)
  })

  test.each(entries)('%s depends on services that exist, and whose condition they can meet', (_name, service) => {
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      const ends = oneTime.includes(other)
      expect(condition, other).toBe(ends ? 'service_completed_successfully' : 'service_healthy')
      expect(services, other).toHaveProperty(other)
    }
  })

  test.each(entries)('%s has settings that exist', (_name, { environment = {} }) => {
    const known = [...read('docs/reference/settings.md').matchAll(/^\| `(MILLRACE_\w+)`/gm)].map(
      ([, setting]) => setting,
    )
    for (const name of Object.keys(environment).filter((key) => key.startsWith('MILLRACE_'))) {
      expect(known).toContain(name.replace(/_FILE$/, ''))
    }
  })

  test('each collector has a spool of its own, and all volumes are declared', () => {
    const named = entries.flatMap(([, service]) => service.volumes ?? []).map((volume) => volume.split(':')[0]!)
    const spools = ['collector-1', 'collector-2'].flatMap((name) => services[name]?.volumes ?? [])
    expect(new Set(spools).size).toBe(2)
    expect(new Set(named.filter((name) => !name.startsWith('.')))).toEqual(new Set(Object.keys(volumes)))
  })

  test('a compose client takes it, where there is one', ({ skip }) => {
    const clients = [['docker', 'compose'], ['docker-compose']]
    const client = clients.find(([program, ...args]) => spawnSync(program!, [...args, 'version']).status === 0)
    if (!client) return skip('neither docker compose nor docker-compose is installed')
    const [program, ...args] = client
    const { status, stderr } = spawnSync(program!, [...args, '-f', 'docker-compose.yml', 'config', '-q'], { cwd: ROOT })
    expect(`${status} ${stderr}`).toBe('0 ')
  })
})

describe('the balancer', () => {
  const config = read('infra/load-balancer/haproxy.cfg')

  test('its servers are services of docker-compose.yml', () => {
    const hosts = [...config.matchAll(/^ *server(?:-template)? .* ([a-z0-9-]+):8700$/gm)].map(([, host]) => host!)
    expect(hosts.sort()).toEqual(['aggregator', 'collector-1', 'collector-2'])
    for (const host of hosts) expect(services).toHaveProperty(host)
  })

  test('haproxy takes its configuration, where it is installed', ({ skip }) => {
    const program = 'haproxy'
    if (spawnSync(program, ['-v']).status !== 0) return skip('haproxy is not installed (apt-get install haproxy)')
    const env = { ...process.env, BIND: '127.0.0.1:8700' }
    const { status, stderr } = spawnSync(program, ['-c', '-f', 'infra/load-balancer/haproxy.cfg'], { cwd: ROOT, env })
    expect(status, String(stderr)).toBe(0)
  })
})

describe('Dockerfile', () => {
  const text = read('Dockerfile')

  test('it stands on an image of a fixed version, and runs as somebody else than root', () => {
    const bases = [...text.matchAll(/^FROM (\S+:\S+)/gm)].map(([, image]) => image!)
    expect(bases).toHaveLength(1)
    expect(bases[0]).toMatch(/^node:24\.\d+\.\d+-/)
    expect([...text.matchAll(/^USER (\S+)$/gm)].map(([, user]) => user)).toEqual(['1000:1000'])
    expect(text).toMatch(/^HEALTHCHECK/m)
  })

  test('its last stage is the one that docker-compose.yml builds', () => {
    const stages = [...text.matchAll(/^FROM \S+ AS (\S+)$/gm)].map(([, stage]) => stage)
    expect(stages.at(-1)).toBe('services')
    expect(services.enricher?.build).toMatchObject({ target: 'services' })
  })
})
