import { readFileSync } from 'node:fs'

/** Version of this package; stored with every row that it makes (`build`). */
export const VERSION: string = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version
