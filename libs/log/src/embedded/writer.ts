import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { MessagePort } from 'node:worker_threads'
import type { TopicSpec } from '@millrace/shared'
import { AppendRefused, CommitRefused, type PartitionPosition } from '../event-log.ts'
import { compactTopic } from './compaction.ts'
import { replaceFile, syncDirectory } from './durable-file.ts'
import { Groups } from './groups.ts'
import type { LogNotice } from './notice.ts'
import { OffsetsFile } from './offsets-file.ts'
import {
  type Announcement,
  MAX_TOPICS,
  type Operations,
  type Reply,
  type Request,
  type TopicInfo,
  type WriterStart,
} from './protocol.ts'
import { countExpired } from './retention.ts'
import { isTopicName, makeTopicFolder, readSpec, type StoredSpec } from './topic-files.ts'
import { TopicLog } from './topic-log.ts'

/** A thread that uses the log: the one that opened it, or one that was attached. */
interface Client {
  readonly port: MessagePort
  /** One flag a topic: the client waits for records. */
  readonly wanted: Int32Array
  replies: Reply[]
}

interface Topic {
  readonly name: string
  readonly flag: number
  readonly log: TopicLog
  /** Base of the active segment when compaction ran last: it has nothing to do until another is closed. */
  compactedTo: number
  /** The last write failed: said once, not for every append that follows. */
  failing: boolean
}

interface Queued<O extends 'append' | 'commit'> {
  readonly client: Client
  readonly id: number
  readonly ask: Operations[O]['ask']
}

type Immediate = Exclude<Request, { op: 'append' | 'commit' }>

/**
 * The one that writes. It takes requests from all threads; what has come by the time it gets to write is written together: one write and
 * one sync per topic, one offsets file, then all are answered. Everything is synchronous: while it waits for the disk the next group gathers.
 */
export class Writer {
  readonly #start: WriterStart
  readonly #topics = new Map<string, Topic>()
  readonly #clients = new Set<Client>()
  readonly #groups = new Groups<Client>()
  readonly #offsets: OffsetsFile
  readonly #epoch: number
  readonly #clock: Float64Array | null
  readonly #timer: NodeJS.Timeout
  #early: LogNotice[] = []
  #appends: Queued<'append'>[] = []
  #commits: Queued<'commit'>[] = []
  #flushing: NodeJS.Immediate | null = null
  #retentionHeld: boolean

  /** Opens the folder, or makes it. @throws Error when something in it cannot be used */
  constructor(start: WriterStart) {
    this.#start = start
    this.#retentionHeld = start.retentionHeld
    this.#clock = start.clock && new Float64Array(start.clock)
    mkdirSync(this.#topicsDir, { recursive: true, mode: 0o700 })
    syncDirectory(dirname(start.dir))
    this.#epoch = readEpoch(join(start.dir, 'log.json'))
    this.#offsets = new OffsetsFile(join(start.dir, 'offsets'))
    for (const name of readdirSync(this.#topicsDir)) {
      const dir = join(this.#topicsDir, name)
      const spec = isTopicName(name) ? readSpec(dir) : null
      if (spec !== null) this.#addTopic(TopicLog.open(spec, this.#optionsOf(name)))
    }
    this.#timer = setInterval(() => this.#maintain(), start.maintenanceMs)
    this.#timer.unref()
  }

  get #topicsDir(): string {
    return join(this.#start.dir, 'topics')
  }

  #now(): number {
    const set = this.#clock?.[0]
    return set ? set : Date.now()
  }

  #optionsOf(name: string) {
    return {
      dir: join(this.#topicsDir, name),
      segmentBytes: this.#start.segmentBytes,
      notify: (notice: LogNotice) => this.#notify(notice),
    }
  }

  /** Serves a thread through a port, until the port closes. */
  serve(port: MessagePort): void {
    const wanted = new SharedArrayBuffer(4 * MAX_TOPICS)
    const client: Client = { port, wanted: new Int32Array(wanted), replies: [] }
    this.#clients.add(client)
    port.on('message', (request: Request) => this.#receive(client, request))
    port.on('close', () => {
      this.#clients.delete(client)
      this.#groups.leaveAll(client)
    })
    for (const topic of this.#topics.values()) announce(client, { op: 'topic', topic: infoOf(topic) })
    for (const notice of this.#early) announce(client, { op: 'notice', notice })
    this.#early = []
    announce(client, { op: 'hello', epoch: this.#epoch, wanted })
  }

  #receive(client: Client, request: Request): void {
    const { op, id } = request
    if (op !== 'append' && op !== 'commit') {
      this.#answerNow(client, request)
      return
    }
    if (op === 'append') this.#appends.push({ client, id, ask: request })
    else this.#commits.push({ client, id, ask: request })
    // After the poll phase: everything that waits in any port comes in before the group is written.
    this.#flushing ??= setImmediate(() => this.#flush())
  }

  #answerNow(client: Client, request: Immediate): void {
    try {
      answer(client, request.id, this.#carryOut(client, request))
    } catch (error) {
      refuse(client, request.id, error)
    }
    sendReplies(client)
    if (request.op === 'close') this.#close()
  }

  #carryOut(client: Client, request: Immediate): unknown {
    switch (request.op) {
      case 'join':
        return this.#join(client, request)
      case 'leave':
        return this.#groups.leave(request.member)
      case 'ensureTopics':
        return this.#ensureTopics(request.specs, request.hitPartitions)
      case 'committed':
        return [...this.#offsets.committed(request.group, request.topic)]
      case 'backlog':
        return this.#backlog(request)
      case 'offsetsForTime': {
        const { log } = this.#topic(request.topic)
        return Array.from(log.ends, (_, partition) => log.offsetForTime(partition, request.timestampMs))
      }
      case 'locate':
        return this.#locate(request)
      case 'attach':
        return this.serve(request.port)
      case 'holdRetention':
        this.#retentionHeld = request.held
        return undefined
      case 'maintain':
        return this.#maintain()
      case 'close':
        return this.#flush()
      case 'ping':
        return undefined
    }
  }

  #topic(name: string): Topic {
    const topic = this.#topics.get(name)
    if (topic === undefined) throw new Error(`there is no topic ${name}`)
    return topic
  }

  #locate({ topic, wanted }: Operations['locate']['ask']): Operations['locate']['answer'] {
    const { log } = this.#topic(topic)
    const positions = wanted.map(([partition, offset]) => log.locate(partition, offset))
    return { generation: log.shared.generation, positions }
  }

  #backlog({ group, topic }: Operations['backlog']['ask']): number {
    const { log } = this.#topic(topic)
    const committed = this.#offsets.committed(group, topic)
    const places = Array.from(log.lows, (low, partition) =>
      log.locate(partition, Math.max(low, committed.get(partition)?.offset ?? 0)),
    )
    return log.durable - Math.min(...places)
  }

  #join(client: Client, { group, topics }: Operations['join']['ask']): Operations['join']['answer'] {
    const logs = topics.map((name) => this.#topic(name))
    const member = this.#groups.join(group, topics, client)
    const assignments = logs.flatMap(({ name, log }) => {
      const committed = this.#offsets.committed(group, name)
      return Array.from(log.ends, (end, partition) => ({
        topic: name,
        partition,
        committed: committed.get(partition) ?? null,
        low: log.lows[partition]!,
        end,
      }))
    })
    return { member, assignments }
  }

  #ensureTopics(specs: readonly TopicSpec[], hitPartitions: number): undefined {
    const wanted = specs.map((spec) => settle(spec, hitPartitions))
    for (const { name, partitions } of wanted) {
      const existing = this.#topics.get(name)?.log.spec.partitions
      if (existing !== undefined && existing !== partitions)
        throw new Error(`topic ${name} has ${existing} partitions, not ${partitions}: their number never changes`)
    }
    for (const spec of wanted) this.#ensureTopic(spec)
  }

  #ensureTopic(spec: StoredSpec): void {
    const existing = this.#topics.get(spec.name)
    if (existing && JSON.stringify(existing.log.spec) === JSON.stringify(spec)) return
    if (existing) existing.log.respecify(spec)
    const topic = existing ?? this.#addTopic(this.#createTopic(spec))
    for (const client of this.#clients) announce(client, { op: 'topic', topic: infoOf(topic) })
  }

  #createTopic(spec: StoredSpec): TopicLog {
    const options = this.#optionsOf(spec.name)
    makeTopicFolder(options.dir)
    const log = TopicLog.create(spec, options, this.#now())
    syncDirectory(this.#topicsDir)
    return log
  }

  #addTopic(log: TopicLog): Topic {
    if (this.#topics.size >= MAX_TOPICS) throw new Error(`there are more than ${MAX_TOPICS} topics`)
    const topic = { name: log.spec.name, flag: this.#topics.size, log, compactedTo: -1, failing: false }
    this.#topics.set(topic.name, topic)
    return topic
  }

  #flush(): undefined {
    if (this.#flushing) clearImmediate(this.#flushing)
    this.#flushing = null
    const appends = this.#appends
    const commits = this.#commits
    this.#appends = []
    this.#commits = []
    const touched = this.#writeAppends(appends)
    if (commits.length > 0) this.#writeCommits(commits)
    for (const client of this.#clients) {
      sendReplies(client)
      wake(client, touched)
    }
  }

  #writeAppends(appends: readonly Queued<'append'>[]): Topic[] {
    const byTopic = new Map<string, Queued<'append'>[]>()
    for (const append of appends) {
      const queued = byTopic.get(append.ask.topic)
      if (queued) queued.push(append)
      else byTopic.set(append.ask.topic, [append])
    }
    const touched: Topic[] = []
    for (const [name, queued] of byTopic) if (this.#writeGroup(name, queued)) touched.push(this.#topics.get(name)!)
    return touched
  }

  #writeGroup(name: string, queued: readonly Queued<'append'>[]): boolean {
    const topic = this.#topics.get(name)
    if (topic === undefined) {
      for (const { client, id } of queued) refuse(client, id, new AppendRefused(`there is no topic ${name}`))
      return false
    }
    const active = topic.log.bases.at(-1)
    try {
      const bases = topic.log.append(
        queued.map(({ ask: { bytes } }) => asBuffer(bytes)),
        this.#now(),
      )
      topic.failing = false
      for (const [i, { client, id }] of queued.entries()) answer(client, id, [...bases[i]!])
    } catch (error) {
      const text = `appending to ${name} failed: ${messageOf(error)}`
      if (!topic.failing) this.#notify({ kind: 'write_failed', topic: name, text })
      topic.failing = true
      const inDoubt = { name: 'AppendInDoubt', message: text }
      for (const { client, id } of queued) client.replies.push({ id, error: inDoubt })
    }
    if (topic.log.bases.at(-1) !== active) this.#announceSegments(topic)
    return true
  }

  #writeCommits(commits: readonly Queued<'commit'>[]): void {
    const accepted: { queued: Queued<'commit'>; group: string; positions: readonly PartitionPosition[] }[] = []
    for (const queued of commits) {
      const { positions } = queued.ask
      try {
        const group = this.#groups.groupOf(queued.ask.member, positions)
        for (const position of positions) this.#checkPartition(position)
        accepted.push({ queued, group, positions })
      } catch (error) {
        refuse(queued.client, queued.id, error)
      }
    }
    try {
      if (accepted.length > 0) this.#offsets.commit(accepted)
      for (const { queued } of accepted) answer(queued.client, queued.id, undefined)
    } catch (error) {
      for (const { queued } of accepted) refuse(queued.client, queued.id, error)
    }
  }

  #checkPartition({ topic, partition }: PartitionPosition): void {
    const { partitions } = this.#topic(topic).log.spec
    if (partition < 0 || partition >= partitions) throw new CommitRefused(`${topic} has no partition ${partition}`)
  }

  /** Closes segments that are old enough, removes expired ones, compacts. */
  #maintain(): undefined {
    for (const topic of this.#topics.values()) {
      try {
        this.#maintainTopic(topic)
      } catch (error) {
        const text = `upkeep of ${topic.name} failed: ${messageOf(error)}`
        this.#notify({ kind: 'maintenance_failed', topic: topic.name, text })
      }
    }
  }

  #maintainTopic(topic: Topic): void {
    const { log } = topic
    const before = String(log.bases)
    try {
      const now = this.#now()
      if (log.isOverdue(now)) log.roll(now)
      if (!this.#retentionHeld) this.#expire(topic, now)
      if (log.spec.cleanup === 'compact') this.#compact(topic, now)
    } finally {
      // Readers wait for word of a new segment: they get it whatever failed.
      if (String(log.bases) !== before) this.#announceSegments(topic)
    }
  }

  #expire({ log, name }: Topic, nowMs: number): void {
    const count = countExpired(log, nowMs)
    if (count === 0) return
    log.removeOldest(count)
    this.#notify({ kind: 'segments_expired', topic: name, text: `${count} segments of ${name} expired` })
  }

  #compact(topic: Topic, nowMs: number): void {
    const { log, name } = topic
    if (topic.compactedTo === log.bases.at(-1)) return
    const count = compactTopic(log, nowMs)
    topic.compactedTo = log.bases.at(-1)!
    if (count === 0) return
    this.#notify({ kind: 'segments_compacted', topic: name, text: `${count} segments of ${name} compacted` })
    this.#announceSegments(topic)
  }

  #announceSegments({ name, log }: Topic): void {
    const { bases } = log
    for (const client of this.#clients) announce(client, { op: 'segments', topic: name, bases })
  }

  #notify(notice: LogNotice): void {
    if (this.#clients.size === 0) this.#early.push(notice)
    for (const client of this.#clients) announce(client, { op: 'notice', notice })
  }

  #close(): void {
    clearInterval(this.#timer)
    for (const { log } of this.#topics.values()) log.close()
    for (const { port } of this.#clients) port.close()
  }
}

function readEpoch(path: string): number {
  if (!existsSync(path)) replaceFile(path, Buffer.from(`${JSON.stringify({ format: 1, epoch: 1 })}\n`))
  const { format, epoch } = JSON.parse(readFileSync(path, 'utf8'))
  if (format !== 1) throw new Error(`${path}: format ${format} is not known to this version`)
  return epoch
}

function settle(spec: TopicSpec, hitPartitions: number): StoredSpec {
  const { name, cleanup, retentionMs, segmentMs, timestamps, maxRecordBytes } = spec
  const partitions = spec.partitions === 'hits' ? hitPartitions : spec.partitions
  if (!isTopicName(name)) throw new Error(`${JSON.stringify(name)} cannot be the name of a topic`)
  if (!Number.isSafeInteger(partitions) || partitions < 1 || partitions > 4096)
    throw new Error(`topic ${name}: ${partitions} is no number of partitions from 1 to 4096`)
  return { name, partitions, cleanup, retentionMs, segmentMs, timestamps, maxRecordBytes }
}

function infoOf({ log, flag }: Topic): TopicInfo {
  return { spec: log.spec, dir: log.dir, flag, positions: log.shared.buffer, bases: log.bases }
}

const announce = ({ port }: Client, announcement: Announcement): void => port.postMessage(announcement)
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

function answer(client: Client, id: number, value: unknown): void {
  client.replies.push({ id, answer: value })
}

function refuse(client: Client, id: number, error: unknown): void {
  const name = error instanceof Error ? error.name : 'Error'
  client.replies.push({ id, error: { name, message: messageOf(error) } })
}

function sendReplies(client: Client): void {
  if (client.replies.length === 0) return
  announce(client, { op: 'replies', replies: client.replies })
  client.replies = []
}

function wake(client: Client, touched: readonly Topic[]): void {
  const topics = touched.filter(({ flag }) => Atomics.exchange(client.wanted, flag, 0) === 1).map(({ name }) => name)
  if (topics.length > 0) announce(client, { op: 'wake', topics })
}
