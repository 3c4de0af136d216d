import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, outcomeOf, type Ran, runMillrace, spawnMillrace, waitUntil } from '@millrace/testing'
import { afterAll, describe, expect, test } from 'vitest'

const folder = mkdtempSync(join(tmpdir(), 'millrace-services-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const millrace = (args: readonly string[], settings: Readonly<Record<string, string>> = {}): Promise<Ran> =>
  runMillrace(args, { MILLRACE_DATA_DIR: folder, ...settings })

const COMMANDS = [
  'start',
  'collector',
  'enricher',
  'aggregator',
  'migrate',
  'topics',
  'site',
  'key',
  'goal',
  'rebuild',
  'geo',
  'export',
  'import',
  'demo',
  'delete',
  'verify',
  'tail',
  'backup',
  'restore',
  'resume',
]

describe('millrace', () => {
  test('it lists its commands', async () => {
    const { stdout } = await millrace(['--help'])
    expect([...stdout.matchAll(/^ {2}([a-z]+) {2,}\S/gm)].map(([, name]) => name).sort()).toEqual([...COMMANDS].sort())
  })

  test.each(COMMANDS)('%s --help tells what it does', async (name) => {
    const { code, stdout } = await millrace([name, '--help'])
    expect(code).toBe(0)
    expect(stdout).toContain(`Usage: millrace ${name}`)
  })

  test('it lists the settings of a service, and not those of others', async () => {
    const { stdout } = await millrace(['collector', '--help'])
    expect(stdout).toContain('MILLRACE_KAFKA_BROKERS')
    expect(stdout).not.toContain('MILLRACE_CLICKHOUSE_URL')
  })

  const refused: [args: string[], settings: Record<string, string>, problem: RegExp][] = [
    [['enricher', '--nonsense'], {}, /--nonsense/],
    [['enricher'], { MILLRACE_LOG: 'kafka' }, /MILLRACE_KAFKA_BROKERS is empty/],
    [['enricher'], { MILLRACE_LOG: 'paper' }, /MILLRACE_LOG must be one of/],
    [['migrate'], { MILLRACE_CLICKHOUSE_URL: 'user:secret@host' }, /MILLRACE_CLICKHOUSE_URL must be an http/],
    [
      ['aggregator'],
      { MILLRACE_LOG: 'kafka', MILLRACE_KAFKA_BROKERS: '127.0.0.1:1', MILLRACE_HOST: '0.0.0.0' },
      /MILLRACE_ADMIN_KEY is not set/,
    ],
    [['export'], {}, /say where to/],
    [
      ['export', '--to', folder],
      { MILLRACE_LOG: 'kafka', MILLRACE_KAFKA_BROKERS: '127.0.0.1:1' },
      /only a standalone folder/,
    ],
    [['import'], {}, /say where from/],
    [['import', '--from', folder], {}, /set MILLRACE_LOG=kafka/],
    [
      ['import', '--from', folder],
      { MILLRACE_LOG: 'kafka', MILLRACE_KAFKA_BROKERS: '127.0.0.1:1' },
      /holds no finished export/,
    ],
    [['collector'], {}, /needs Kafka/],
    [['enricher'], {}, /needs Kafka/],
    [['aggregator'], {}, /needs Kafka/],
  ]
  test.each(refused)('it refuses %j with %j', async (args, settings, problem) => {
    const { code, stderr } = await millrace(args, settings)
    expect(code).toBe(1)
    expect(stderr).toMatch(problem)
    expect(stderr).not.toContain('secret')
  })

  test('topics and migrate do their work in the data folder too, twice', async () => {
    for (let times = 0; times < 2; times++) {
      const topics = await millrace(['topics'], { MILLRACE_PARTITIONS: '3' })
      expect(topics).toMatchObject({ code: 0, stdout: expect.stringMatching(/^hits\.raw +3 +0$/m) })
      const migrated = await millrace(['migrate'])
      expect(migrated).toMatchObject({ code: 0, stdout: expect.stringMatching(times === 0 ? /applied/ : /up to date/) })
    }
  })

  test('site, goal and key change the folder of an instance that does not run, with every mistake named', async () => {
    const nobody = { MILLRACE_DATA_DIR: join(folder, 'nothing') }
    const nowhere = await millrace(['site', 'list'], nobody)
    expect([nowhere.code, nowhere.stderr]).toEqual([1, expect.stringContaining('holds no data')])

    await millrace(['topics'])
    const added = await millrace(['site', 'add', 'blog', '--timezone', 'Europe/Vienna'])
    expect(added).toMatchObject({ code: 0, stdout: 'added site blog\n' })
    const wrong = await millrace(['site', 'set', 'blog', '--timezone', 'Mars', '--respect-dnt', 'maybe'])
    expect(wrong.code).toBe(1)
    expect(wrong.stderr).toMatch(/respect_dnt .*\n.*timezone "Mars" is not an IANA time zone/)
    const moved = await millrace(['site', 'set', 'blog', '--timezone', 'Asia/Tokyo'])
    expect(moved.stdout).toContain('millrace rebuild --site blog')
    expect((await millrace(['site', 'list'])).stdout).toMatch(/^blog .*timezone=Asia\/Tokyo$/m)

    const goal = ['goal', 'add', 'blog', 'pricing', '--path', '/pricing', '--value', '2.5', '--currency', 'EUR']
    expect(await millrace(goal)).toMatchObject({ code: 0, stdout: 'added goal pricing to site blog\n' })
    expect((await millrace(goal)).stderr).toContain('has a goal pricing already')
    const filter = '{"dimension":"colour","is":"red"}'
    const bad = await millrace(['goal', 'add', 'blog', 'buy', '--event-name', '', '--filter', filter])
    expect(bad.stderr).toMatch(/event_name .*\n.*filter\/dimension "colour" is not a dimension/)
    const listed = (await millrace(['goal', 'list', 'blog'])).stdout
    expect(listed).toMatch(/^pricing +page .* path=\/pricing value=2.5 currency=EUR$/m)
    expect((await millrace(['goal', 'remove', 'blog', 'pricing'])).stdout).toBe('removed goal pricing from site blog\n')
    expect((await millrace(['goal', 'list', 'blog'])).stdout).toContain('has no goals')

    const key = await millrace(['key', 'add', '--scope', 'read', '--site', 'blog', '--name', 'Wall'])
    expect(key.stdout).toMatch(/^mr_[0-9a-f]{12}_\S{43}\n$/)
    const id = key.stdout.slice(3, 15)
    expect((await millrace(['key', 'list'])).stdout).toMatch(new RegExp(`^${id} .* read +blog +Wall$`, 'm'))
  })

  test('a service waits for Kafka, says so, and can be stopped', async () => {
    const port = await freePort()
    const child = spawnMillrace(['enricher'], {
      MILLRACE_LOG: 'kafka',
      MILLRACE_KAFKA_BROKERS: '127.0.0.1:1',
      MILLRACE_PORT: String(port),
    })
    const ended = outcomeOf(child)
    const url = `http://127.0.0.1:${port}`
    const told = waitUntil('it says why it is not ready', async () => {
      const answer = await fetch(`${url}/readyz`)
      return answer.status === 503 && (await answer.text()).includes('no Kafka broker answers at 127.0.0.1:1')
    })
    await Promise.race([told, ended.then((end) => Promise.reject(new Error(JSON.stringify(end))))])
    expect((await fetch(`${url}/livez`)).status).toBe(200)
    child.kill('SIGTERM')
    expect((await ended).code).toBe(0)
  })
})
