import type { MessagePort } from 'node:worker_threads'
import type { StandaloneSettings } from './settings.ts'

/** Without the lists of networks, which cannot be cloned: a thread reads the one that it needs again. */
export type ThreadSettings = Omit<StandaloneSettings, 'MILLRACE_TRUSTED_PROXIES' | 'MILLRACE_DATACENTER_NETWORKS'>

/** The settings as they are given to a thread. */
export function forThread(settings: StandaloneSettings): ThreadSettings {
  const { MILLRACE_TRUSTED_PROXIES: _, MILLRACE_DATACENTER_NETWORKS: __, ...cloned } = settings
  return cloned
}

/** What the pipeline thread is started with. */
export interface PipelineInput {
  readonly settings: ThreadSettings
  /** Line to the writer of the embedded log; null: the thread opens the log on Kafka. */
  readonly logPort: MessagePort | null
  readonly build: string
  /** One float: what this process takes for now (epoch ms); null = the system's clock. For tests. */
  readonly clock: SharedArrayBuffer | null
}

/** Questions of the main thread to the pipeline thread, and their answers. One message each, by id. */
export type PipelineRequest = {
  id: number
  ask: 'complete_until' | 'metrics' | 'problem' | 'geo_notice' | 'hold' | 'release' | 'close'
}
export type PipelineReply =
  | { ready: true }
  | { id: number; answer: number | string | null }
  | { id: number; error: string }

/** The clock of a process whose time can be moved. 0 = now. */
export function clockFrom(shared: SharedArrayBuffer | null): () => number {
  if (shared === null) return Date.now
  const time = new Float64Array(shared)
  return () => time[0] || Date.now()
}
