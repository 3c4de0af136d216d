/** How the cluster is started. */
export interface ClusterStart {
  /** Folder of data, logs and state. One that holds a cluster already goes on with it. */
  readonly dir: string
  /** Default 3. */
  readonly brokers?: 1 | 3
  /** How many of each; default two. */
  readonly services?: { readonly collector?: number; readonly enricher?: number; readonly aggregator?: number }
  /** Whether HAProxy stands in front; default true. */
  readonly balancer?: boolean
  /** A ClickHouse server; without it the stand-in is started. */
  readonly clickhouseUrl?: string
  /** MILLRACE_* settings of every service. */
  readonly env?: Readonly<Record<string, string>>
  /** Made before collectors start; default: `default` and those that the tests send to. */
  readonly sites?: readonly string[]
  /** Added to every broker's server.properties. */
  readonly kafkaSettings?: Readonly<Record<string, string | number | boolean>>
  /** Called with the brokers before the topics are made: to make some of them otherwise. */
  readonly prepare?: (brokers: readonly string[]) => Promise<void>
  /** Of the balancer, the others follow it; without it all ports are free ones. */
  readonly basePort?: number
  /** The processes outlive this one. */
  readonly detached?: boolean
}

export interface ClusterExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface ClusterPart {
  /** `kafka-1`, `clickhouse`, `collector-1`, `enricher-1`, `aggregator-1`, `balancer`. */
  readonly name: string
  readonly url: string
  readonly pid?: number
  readonly running: boolean
}

export interface Cluster {
  readonly dir: string
  /** Where hits and queries go: the balancer, else the first collector. */
  readonly url: string
  readonly brokers: string[]
  names(): string[]
  status(): ClusterPart[]
  urlOf(name: string): string
  pidOf(name: string): number | undefined
  /** Everything that a part (no broker) has written so far. */
  logOf(name: string): Promise<string>
  /** kill -9; resolves when the process is gone. */
  kill(name: string): Promise<ClusterExit | undefined>
  /** SIGTERM; resolves when the process is gone. */
  end(name: string): Promise<ClusterExit | undefined>
  /** Starts a part (no broker) that has ended; does not wait until it is ready. */
  start(name: string): void
  /** Starts it again, killed before if it runs; resolves when it is ready. */
  restart(name: string): Promise<void>
  pause(name: string): void
  resume(name: string): void
  /** Deletes a consumer group with its positions; false while it has members, or its coordinator is away. */
  deleteGroup(group: string): Promise<boolean>
  /** Deletes a partition's records below an offset, as retention does. */
  deleteRecords(topic: string, partition: number, before: number): Promise<void>
  /** All gracefully; the data stay. */
  stop(): Promise<void>
}

export class ClusterError extends Error {}
/** Why no cluster can be started on this machine, as a sentence, or null. */
export function missingTools(options?: { balancer?: boolean }): Promise<string | null>
export function startCluster(options: ClusterStart): Promise<Cluster>
/** The cluster whose state file lies in `dir`, or null. */
export function findCluster(options: { dir: string }): Promise<Cluster | null>
