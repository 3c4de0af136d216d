/** What is sent to a cluster of replicas, which none of the tests' servers is: the statements themselves. */
import { describe, expect, it } from 'vitest'
import { ClickHouseStore } from './clickhouse-store.ts'
import type { Engine, InsertStatement } from './engine.ts'
import { REQUIRED } from './insert-settings.ts'

/** An engine that answers nothing, and notes what it was asked. */
class Notes implements Engine {
  readonly shared = true
  readonly sent: string[] = []
  readonly inserts: InsertStatement[] = []
  async query<Row>(sql: string): Promise<Row[]> {
    this.sent.push(sql)
    if (sql.includes('system.settings')) return REQUIRED.map((name) => ({ name }) as Row)
    if (sql.includes('system.columns')) return [{ name: 'site', type: 'String' } as Row]
    // One insert runs until it is killed.
    const killed = this.sent.some((text) => text.startsWith('KILL'))
    return sql.includes('system.processes') && !killed ? [{ query_id: 'q' } as Row] : []
  }
  inspect<Row>(sql: string): Promise<Row[]> {
    return this.query(sql)
  }
  async command(sql: string): Promise<void> {
    this.sent.push(sql)
  }
  async insert(statement: InsertStatement): Promise<void> {
    this.inserts.push(statement)
  }
  async close(): Promise<void> {}
}

const INSERT = { table: 'hits_in', blocks: [Buffer.from('x')], logComment: 'flush=1 ' } as const

describe('the store on a cluster', () => {
  it('reads what decides over inserts only when its replica has everything', async () => {
    const notes = new Notes()
    await new ClickHouseStore(notes, 'c').query('SELECT 1', { current: 'hits' })
    expect(notes.sent).toEqual(['SYSTEM SYNC REPLICA millrace.`hits` LIGHTWEIGHT', 'SELECT 1'])
  })

  it('ends inserts on every replica', async () => {
    const notes = new Notes()
    await new ClickHouseStore(notes, 'c').killInserts('flush=1 ')
    expect(notes.sent).toEqual([
      expect.stringContaining("FROM clusterAllReplicas('c', system.processes) WHERE"),
      expect.stringMatching(/^KILL QUERY ON CLUSTER 'c' WHERE .* ASYNC$/),
      expect.stringContaining("FROM clusterAllReplicas('c', system.processes) WHERE"),
    ])
  })

  it('inserts into most replicas or not at all', async () => {
    const notes = new Notes()
    await new ClickHouseStore(notes, 'c').insert(INSERT)
    expect(notes.inserts[0]!.settings).toMatchObject({ insert_quorum: 'auto' })
  })

  it('sends nothing of the kind to one server', async () => {
    const notes = new Notes()
    const store = new ClickHouseStore(notes)
    await store.query('SELECT 1', { current: 'hits' })
    await store.killInserts('flush=1 ')
    await store.insert(INSERT)
    expect(notes.sent.filter((sql) => /CLUSTER|cluster|REPLICA/.test(sql))).toEqual([])
    expect(notes.inserts[0]!.settings).not.toHaveProperty('insert_quorum')
  })
})
