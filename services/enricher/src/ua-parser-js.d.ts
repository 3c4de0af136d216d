/** The part of ua-parser-js 1.0 that we use; version 1 comes without types. */
declare module 'ua-parser-js' {
  interface Result {
    browser: { name?: string; version?: string; major?: string }
    os: { name?: string; version?: string }
    device: { vendor?: string; model?: string; type?: string }
  }
  export class UAParser {
    constructor(userAgent: string)
    getResult(): Result
  }
}
