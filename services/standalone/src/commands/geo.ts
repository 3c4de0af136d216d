import { join } from 'node:path'
import { updateGeo } from '../geo/update-geo.ts'
import { GEO_COMMAND, settingsFrom } from '../settings.ts'
import { type Command, settingsHelp } from './command.ts'

const MB = 1 << 20
/** Progress is told in steps of so many percent, or of so many megabytes where the size is not said. */
const STEP_PERCENT = 10
const STEP_BYTES = 10 * MB

export const command: Command = {
  help: `Usage: millrace geo update

Downloads GeoLite2 City, checks it and puts it in its place: the file that MILLRACE_GEO_DATABASE names, else geo/ in
MILLRACE_DATA_DIR. A running Millrace notices and uses it within seconds. When there is nothing newer, nothing is
downloaded: run it once a day. MaxMind gives an account id and a licence key for free: https://www.maxmind.com/en/geolite2/signup
Its licence asks you to keep the data up to date and to show where they are from; /health does.

${settingsHelp(GEO_COMMAND)}`,
  words: ['update'],

  async run(_values, [word, ...more]) {
    if (word !== 'update' || more.length > 0) throw new Error('say: millrace geo update')
    const settings = settingsFrom(GEO_COMMAND, process.env)
    const { MILLRACE_GEO_ACCOUNT_ID: accountId, MILLRACE_GEO_LICENSE_KEY: licenceKey } = settings
    if (accountId === '' || licenceKey === '') {
      throw new Error(
        'MILLRACE_GEO_ACCOUNT_ID and MILLRACE_GEO_LICENSE_KEY are needed; MaxMind gives them for free: https://www.maxmind.com/en/geolite2/signup',
      )
    }
    const target = settings.MILLRACE_GEO_DATABASE || join(settings.MILLRACE_DATA_DIR, 'geo', 'GeoLite2-City.mmdb')
    const update = { url: settings.MILLRACE_GEO_URL, accountId, licenceKey, target, onProgress: tellProgress() }
    const { changed, version, attribution } = await updateGeo(update)
    console.log(`${target} is ${version}${changed ? '' : ', the newest: nothing was downloaded'}`)
    if (attribution !== '') console.log(attribution)
    if (settings.MILLRACE_GEO_DATABASE === '') console.log(`To use it, set MILLRACE_GEO_DATABASE=${target}`)
  },
}

function tellProgress(): (received: number, total: number) => void {
  let told = 0
  return (received, total) => {
    const step = total > 0 ? Math.floor((received / total) * 100) / STEP_PERCENT : received / STEP_BYTES
    if (Math.floor(step) <= told) return
    told = Math.floor(step)
    const share = total > 0 ? ` of ${(total / MB).toFixed(1)}` : ''
    console.error(`downloaded ${(received / MB).toFixed(1)}${share} MB`)
  }
}
