// Writes docs/errors.md from the table of errors: `node --conditions=@sluice/source scripts/errors-doc.mjs`.
// With `--print`, writes to standard output instead.
import { readFileSync, writeFileSync } from 'node:fs'
import { errorTable } from '../packages/sluice/src/core/error-table.ts'

const SECTIONS = {
  core: 'What every part uses: services, durations and sizes, shutdown.',
  net: 'Sockets: addresses, listening, connecting, relaying.',
  'proxy-protocol': 'PROXY headers, read and written.',
  tls: 'Certificates and handshakes, with clients and with backends.',
  http: 'Requests and responses, HTTP/1.1 and HTTP/2.',
  'http-upstream': 'What upstreams do, as a client of HTTP sees it.',
  proxy: 'Backends: balancing, health, retries.',
  config: 'Configuration files.',
  server: 'Workers, reload and administration.',
  cli: 'The command line.',
}

const INTRODUCTION = `<!-- Made from packages/sluice/src/core/error-table.ts by scripts/errors-doc.mjs: change it there. -->

# Errors

Every error that Sluice raises by itself is a \`SluiceError\` with a \`code\` from these tables. Codes are stable: match on
them, not on messages. The message says what was found and what to do about it, and \`cause\` is what the platform said.

\`\`\`ts
import { isSluiceError } from 'sluice'

if (isSluiceError(error, 'CONNECT_REFUSED')) startBackend()
\`\`\`

A log line has the code in \`code\`; the causes are in \`cause\`, or in \`error\` with the rest of it.

- **Side** is who caused it: \`downstream\` the client, \`upstream\` the backend, \`internal\` Sluice, its configuration, or the
  machine that it runs on.
- **Retry** is whether the same work may be tried again: \`never\`; \`reused-connection\` only if it went over a reused
  connection that had died meanwhile, and doing it twice does no harm; \`idempotent\` whenever doing it twice does no harm;
  \`always\`, because nobody has begun with it.
- **Status** is what an HTTP client is answered, where there is a client that speaks HTTP and can still be answered.
`

/** Codes by section, in the order of the table: the source's comments are its sections. */
function sections() {
  const source = readFileSync(new URL('../packages/sluice/src/core/error-table.ts', import.meta.url), 'utf8')
  const found = new Map()
  let codes = []
  for (const line of source.slice(source.indexOf('errorTable = {')).split('\n')) {
    const [, name] = /^ {2}\/\/ (\S+)$/.exec(line) ?? []
    const [, code] = /^ {2}([A-Z\d_]+): \{/.exec(line) ?? []
    if (name !== undefined) {
      if (!(name in SECTIONS)) throw new Error(`scripts/errors-doc.mjs does not describe the section ${name}`)
      codes = found.get(name) ?? []
      found.set(name, codes)
    } else if (code !== undefined) codes.push(code)
  }
  const missing = Object.keys(errorTable).filter(code => ![...found.values()].flat().includes(code))
  if (missing.length > 0) throw new Error(`no section of error-table.ts has ${missing.join(', ')}`)
  return found
}

function section(name, codes) {
  const rows = codes.map(code => {
    const { side, retry, status = '', meaning } = errorTable[code]
    return `| \`${code}\` | ${side} | ${retry} | ${status} | ${meaning.replaceAll('|', '\\|')} |`
  })
  return `
## ${name}

${SECTIONS[name]}

| Code | Side | Retry | Status | What happened, and what to do |
|---|---|---|---|---|
${rows.join('\n')}
`
}

const text = INTRODUCTION + [...sections()].map(([name, codes]) => section(name, codes)).join('')
if (process.argv.includes('--print')) process.stdout.write(text)
else writeFileSync(new URL('../docs/errors.md', import.meta.url), text)
