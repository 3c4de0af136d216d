import type { Cluster } from '../../../infra/cluster/cluster.mjs'
import type { VerifyReport } from '../../../services/standalone/src/verify/findings.ts'
import { millraceOn } from '../check/millrace-on.ts'
import type { FaultOptions } from './fault-run.ts'

/** `millrace verify` of the cluster. @throws Error with its words when it gives no report */
export async function runVerify(
  cluster: Cluster,
  { zone, sessionTimeoutMinutes }: Pick<FaultOptions, 'zone' | 'sessionTimeoutMinutes'>,
): Promise<VerifyReport> {
  const millrace = millraceOn(cluster, {
    MILLRACE_TIMEZONE: zone,
    MILLRACE_SESSION_TIMEOUT_MINUTES: String(sessionTimeoutMinutes),
  })
  const { code, stdout, stderr } = await millrace('verify', '--json', '--quiet')
  if (!stdout.startsWith('{')) throw new Error(`millrace verify ended with ${code}: ${stderr}`)
  const report = JSON.parse(stdout) as VerifyReport
  if (report.ok !== (code === 0)) throw new Error(`millrace verify ended with ${code} and says ok: ${report.ok}`)
  return report
}
