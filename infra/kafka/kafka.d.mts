/** How a cluster on loopback is started. */
export interface KafkaStart {
  readonly nodes?: 1 | 3
  /** Folder of data, logs and state. One that holds a cluster already goes on with it. */
  readonly dir: string
  /** One per node; the controller of a node listens 1000 above. Without: ports that are free. */
  readonly ports?: readonly number[]
  /** Added to every node's server.properties. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  readonly cache?: string
  /** The brokers outlive this process. */
  readonly detached?: boolean
}

export interface KafkaNode {
  readonly id: number
  readonly port: number
  readonly pid?: number
  readonly running: boolean
}

export interface KafkaCluster {
  /** host:port of every node. */
  readonly brokers: string[]
  nodes(): KafkaNode[]
  /** kill -9; resolves when the process is gone. Nodes count from 1. */
  kill(node?: number): Promise<void>
  restart(node?: number): Promise<void>
  pause(node?: number): void
  resume(node?: number): void
  /** Deletes a consumer group with its positions; false while it has members, or its coordinator is away. */
  deleteGroup(group: string): Promise<boolean>
  /** Deletes a partition's records below an offset, as retention does. @throws KafkaToolError when no node does it */
  deleteRecords(topic: string, partition: number, before: number): Promise<void>
  stop(): Promise<void>
}

export class KafkaToolError extends Error {}
/** Why no broker can be started on this machine, as a sentence, or null. */
/** So many ports of loopback that are free now. */
export function freePorts(count: number): Promise<number[]>
export function missingTools(options?: { cache?: string }): Promise<string | null>
export function startKafka(options: KafkaStart): Promise<KafkaCluster>
/** The cluster whose state file lies in `dir`, or null. */
export function findKafka(options: { dir: string }): Promise<KafkaCluster | null>
