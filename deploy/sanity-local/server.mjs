// Answers Sanity's HTTP query API from a file of documents, with real GROQ (groq-js), so that no account is needed.
//
//   node server.mjs [--port=3333] [--host=127.0.0.1] [--documents=documents.json] [--dataset=production]
//                   [--project=local] [--token=T] [--strict] [--foreign-token=F]
//
// As Sanity does: a private dataset (--token) shows nothing to a caller without a token, with status 200, and 401 to a wrong one;
// --strict refuses the missing token, too. --foreign-token is a token that another project gave out. Documents whose id has a
// dot (drafts, releases) are seen with a token alone, and only where the perspective asks for them. Writes one line to
// standard output when it listens: {"port": 3333}.

import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { evaluate, parse } from 'groq-js'

const DAY_MS = 86_400_000
const LONGEST_BODY = 300_000 // bytes; Sanity's limit for queries by POST
const PUBLISHED_BY_DEFAULT = '2025-02-19' // before this API version the default perspective is raw
const PATH = /^\/v(\d{4}-\d{2}-\d{2}|1|X)\/data\/query\/([A-Za-z0-9_~-]+)$/
const DATE = /^\d{4}-\d{2}-\d{2}(T[\d:.]+Z)?$/

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '3333' },
    host: { type: 'string', default: '127.0.0.1' },
    documents: { type: 'string', default: fileURLToPath(new URL('documents.json', import.meta.url)) },
    dataset: { type: 'string', default: 'production' },
    project: { type: 'string', default: 'local' },
    token: { type: 'string', default: '' },
    strict: { type: 'boolean', default: false },
    'foreign-token': { type: 'string', default: '' },
  },
})

/** An answer other than a result. */
class Refusal extends Error {
  constructor(status, body) {
    super(`${status}`)
    this.status = status
    this.body = body
  }
}

const boom = (status, error, message) => new Refusal(status, { statusCode: status, error, message })
const badRequest = (type, description, more = {}) => new Refusal(400, { error: { type, description, ...more } })

/** The documents of the file; when it names the day that its dates are for, they move to today. */
function load(path) {
  const content = JSON.parse(readFileSync(path, 'utf8'))
  if (Array.isArray(content)) return content
  const today = new Date().toISOString().slice(0, 10)
  const days = content.day ? Math.round((Date.parse(today) - Date.parse(content.day)) / DAY_MS) : 0
  return moved(content.documents, days)
}

function moved(value, days) {
  if (Array.isArray(value)) return value.map((each) => moved(each, days))
  if (value && typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, moved(each, days)]))
  if (typeof value !== 'string' || !DATE.test(value)) return value
  const iso = new Date(Date.parse(value) + days * DAY_MS).toISOString()
  return value.length === 10 ? iso.slice(0, 10) : iso.replace('.000Z', 'Z')
}

const documents = load(options.documents)

function visible(perspective, isTrusted) {
  if (options.token && !isTrusted) return [] // the trap: looks like an empty dataset
  if (perspective === 'raw') return documents.filter((each) => isTrusted || !each._id.includes('.'))
  const published = documents.filter((each) => !each._id.includes('.'))
  if (perspective === 'published' || !isTrusted) return published
  if (perspective !== 'drafts' && perspective !== 'previewDrafts')
    throw badRequest('httpBadRequest', `unknown perspective "${perspective}"`)
  const drafts = documents.filter((each) => each._id.startsWith('drafts.'))
  const overlaid = new Map(published.map((each) => [each._id, each]))
  for (const each of drafts) {
    const id = each._id.slice('drafts.'.length)
    overlaid.set(id, { ...each, _id: id, _originalId: each._id })
  }
  return [...overlaid.values()]
}

/** Whether the caller showed the dataset's token. Throws for a wrong one. */
function isTrusted(request) {
  const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
  if (given && given === options['foreign-token']) throw boom(401, 'Unauthorized', 'Session does not match project host')
  if (given && given !== options.token) throw boom(401, 'Unauthorized', 'Session not found')
  if (!given && options.token && options.strict) throw boom(401, 'Unauthorized', 'Missing token')
  return Boolean(given)
}

async function bodyOf(request) {
  const chunks = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    if (size > LONGEST_BODY) throw boom(413, 'Request Entity Too Large', 'Payload content length greater than maximum')
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch {
    throw badRequest('httpBadRequest', 'Invalid JSON body')
  }
}

function paramsOf(search) {
  const params = {}
  for (const [name, text] of search) {
    if (!name.startsWith('$')) continue
    try {
      params[name.slice(1)] = JSON.parse(text)
    } catch {
      throw badRequest('httpBadRequest', `Unable to parse value of "${name}=${text}". Please quote string values.`)
    }
  }
  return params
}

/** Names of parameters in a syntax tree; groq-js takes a missing one for null, Sanity refuses. */
function* parameters(node) {
  if (Array.isArray(node)) for (const each of node) yield* parameters(each)
  else if (node && typeof node === 'object') {
    if (node.type === 'Parameter') yield node.name
    for (const each of Object.values(node)) yield* parameters(each)
  }
}

function treeOf(query, params) {
  if (typeof query !== 'string' || !query) throw badRequest('httpBadRequest', 'query is required')
  let tree
  try {
    tree = parse(query, { params })
  } catch (error) {
    const start = error.position ?? 0
    throw badRequest('queryParseError', error.message, { query, start, end: start })
  }
  for (const name of parameters(tree)) {
    if (name in params) continue
    const start = query.indexOf(`$${name}`)
    const words = `param $${name} referenced, but not provided`
    throw badRequest('queryParseError', words, { query, start, end: start + name.length + 1 })
  }
  return tree
}

async function answer(request) {
  const url = new URL(request.url, 'http://local')
  const [, version, dataset] = PATH.exec(url.pathname) ?? []
  if (!version) throw boom(404, 'Not Found', 'Not Found')
  if (request.method !== 'GET' && request.method !== 'POST') throw boom(405, 'Method Not Allowed', 'Method Not Allowed')
  if (dataset !== options.dataset)
    throw boom(404, 'Not Found', `Dataset "${dataset}" not found for project ID "${options.project}"`)
  const trusted = isTrusted(request)
  const byDate = version === 'X' || version >= PUBLISHED_BY_DEFAULT ? 'published' : 'raw'
  const perspective = url.searchParams.get('perspective') ?? byDate
  const asked =
    request.method === 'GET'
      ? { query: url.searchParams.get('query'), params: paramsOf(url.searchParams) }
      : await bodyOf(request)
  const params = asked.params ?? {}
  const tree = treeOf(asked.query, params)
  const begun = performance.now()
  const value = await evaluate(tree, { dataset: visible(perspective, trusted), params })
  const result = await value.get()
  const envelope = { result: result ?? null, ms: Math.round(performance.now() - begun) }
  return url.searchParams.get('returnQuery') === 'false' ? envelope : { query: asked.query, ...envelope }
}

const server = createServer(async (request, response) => {
  let status = 200
  let body
  try {
    body = await answer(request)
  } catch (error) {
    if (!(error instanceof Refusal)) console.error(error)
    status = error instanceof Refusal ? error.status : 500
    body = error instanceof Refusal ? error.body : { statusCode: 500, error: 'Internal Server Error', message: 'broken' }
  }
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    ...(request.complete ? {} : { connection: 'close' }), // what is left of the body is not read
  })
  response.end(text)
})

for (const signal of ['SIGTERM', 'SIGINT'])
  process.on(signal, () => {
    server.close(() => process.exit(0))
    server.closeAllConnections()
  })

server.listen(Number(options.port), options.host, () => {
  console.log(JSON.stringify({ port: server.address().port }))
})
