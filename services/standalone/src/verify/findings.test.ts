import { describe, expect, it } from 'vitest'
import { describeReport, Findings } from './findings.ts'

const SESSIONS = 'I5 sessions equal the independent recount of the log'

function findingsOf(wrong: number): Findings {
  const findings = new Findings()
  findings.compared('I1 every raw hit of the log has its row', 12)
  for (let i = 0; i < 12; i++) findings.same(SESSIONS, `session ${i}`, 1, i < wrong ? 2 : 1)
  findings.count('raw_hits', 12)
  findings.notCompared('partition 3')
  return findings
}

describe('the report of verify', () => {
  it('says what was compared and what was not', () => {
    const report = findingsOf(0).report()
    expect(report.ok).toBe(true)
    expect(describeReport(report).split('\n')).toEqual([
      'ok     I1 every raw hit of the log has its row               12 compared',
      `ok     ${SESSIONS}  12 compared`,
      'looked at: raw hits 12',
      'not compared: partition 3',
      'no differences',
    ])
  })

  it('names the first differences', () => {
    const text = describeReport(findingsOf(11).report())
    expect(text).toContain(`WRONG  ${SESSIONS}  12 compared, 11 differ`)
    expect(text).toContain('         session 9: expected 1, stored 2\n         and 1 more\n')
    expect(text).toMatch(/there are differences$/)
  })

  it('asks for the settings when most sessions differ', () => {
    expect(describeReport(findingsOf(7).report())).toContain('another MILLRACE_SESSION_TIMEOUT_MINUTES')
    expect(describeReport(findingsOf(6).report())).not.toContain('MILLRACE_SESSION_TIMEOUT_MINUTES')
  })
})
