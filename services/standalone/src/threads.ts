import type { MessagePort } from 'node:worker_threads'
import type { StandaloneSettings } from './settings.ts'

/** What the pipeline thread is started with. */
export interface PipelineInput {
  /** Without the trusted proxies: only the collector needs them, and they cannot be cloned. */
  readonly settings: Omit<StandaloneSettings, 'MILLRACE_TRUSTED_PROXIES'>
  /** Line to the writer of the embedded log; null: the thread opens the log on Kafka. */
  readonly logPort: MessagePort | null
  readonly build: string
}

/** Questions of the main thread to the pipeline thread, and their answers. One message each, by id. */
export type PipelineRequest = { id: number; ask: 'complete_until' | 'metrics' | 'problem' | 'close' }
export type PipelineReply =
  | { ready: true }
  | { id: number; answer: number | string | null }
  | { id: number; error: string }
