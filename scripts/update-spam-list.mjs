#!/usr/bin/env node
// Brings services/enricher/data/spam-referrers.txt up to date with Matomo's list of referrer spammers (public domain):
//   node scripts/update-spam-list.mjs [--from URL or FILE] [--to FILE]
// The licence must allow it: look at https://github.com/matomo-org/referrer-spam-list before you take another list.
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const LIST = 'https://raw.githubusercontent.com/matomo-org/referrer-spam-list/master/spammers.txt'
const FILE = fileURLToPath(new URL('../services/enricher/data/spam-referrers.txt', import.meta.url))
/** A list that lost most of its hosts is no list. */
const FEWEST = 500

/**
 * Hosts of the list that people come from, too: services for links, hosting and names, firms with a site of their own, and
 * domains with many sites below them. Whoever comes from there must not be taken for a bot.
 */
const PEOPLE = new Set([
  ...['adcash.com', 'adf.ly', 'clicksor.com', 'popads.net', 'ci.ua', 'kharkov.ua', 'ucoz.ru', 'drupa.com', 'ico.re'],
  ...[
    'insider.pro',
    'isotoner.com',
    'mockupui.com',
    'myftpupload.com',
    'myplaycity.com',
    'prlog.ru',
    'research.ifmo.ru',
  ],
  ...['resellerclub.com', 'rulate.ru', 'sanjosestartups.com', 'scripted.com', 'searchencrypt.com', 'site5.com'],
  ...['stocktwists.com', 'tsatu.edu.ua', 'uptime.com', 'vodaodessa.com', 'zoominfo.com'],
])
const HOST = /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]$/

const { values } = parseArgs({
  options: { from: { type: 'string', default: LIST }, to: { type: 'string', default: FILE } },
})

try {
  const text = await read(values.from)
  const lines = text.split('\n').map((line) => line.trim().toLowerCase())
  const given = lines.filter((line) => line !== '' && !line.startsWith('#'))
  const broken = given.filter((host) => !HOST.test(host))
  const hosts = [...new Set(given)].filter((host) => HOST.test(host) && !PEOPLE.has(host)).sort()
  if (hosts.length < FEWEST) throw new Error(`only ${hosts.length} hosts in ${values.from}: it is not the list`)
  const draft = `${values.to}.new`
  writeFileSync(draft, `${head()}${hosts.join('\n')}\n`)
  renameSync(draft, values.to)
  console.log(`${hosts.length} hosts in ${values.to}`)
  if (broken.length > 0) console.log(`left out, no hosts: ${broken.join(' ')}`)
} catch (error) {
  console.error(`update-spam-list: ${error.message}`)
  process.exitCode = 1
}

async function read(from) {
  if (!/^https?:\/\//.test(from)) return readFileSync(from, 'utf8')
  const answer = await fetch(from)
  if (!answer.ok) throw new Error(`${from} answered ${answer.status}`)
  return answer.text()
}

function head() {
  return `# Referrer spam, one host a line; sub-domains belong to it. Made by scripts/update-spam-list.mjs from Matomo's
# community-contributed list (https://github.com/matomo-org/referrer-spam-list, public domain), without hosts that people come from.
`
}
