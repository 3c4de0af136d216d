import { DEMO_HELP, DEMO_OPTIONS, demoOptions, sendDemo } from '../demo/send.ts'
import type { Command } from './command.ts'

export const command: Command = {
  help: DEMO_HELP,
  options: DEMO_OPTIONS,
  run: (values) => sendDemo(demoOptions(values as Parameters<typeof demoOptions>[0])),
}
