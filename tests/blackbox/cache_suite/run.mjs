// Runs the tests of http-cache-tests, for tests/blackbox/test_cache_suite.py. Its origin listens on a port of 127.0.0.1,
// which is the first line that it prints. A line of its standard input is JSON: {base, ids}, the URL that leads to the
// origin through the cache, and which tests are to run (none given: all). The second line that it prints is JSON:
//
//   {ID: {kind, name, result}}, where result is true, or why not, as [what, message].
import { createRequire } from 'module'
import http from 'http'
import path from 'path'
import readline from 'readline'
import { pathToFileURL } from 'url'

// What NODE_PATH leads to is found by require alone.
const require = createRequire(import.meta.url)
const root = path.dirname(require.resolve('http-cache-tests/package.json'))
const load = async file => import(pathToFileURL(path.join(root, file)))
const print = text => process.stdout.write(`${text}\n`)

console.log = () => {} // of the origin, for each request

const handlers = {
  config: (await load('server/handle-config.mjs')).default,
  state: (await load('server/handle-state.mjs')).default,
  test: (await load('server/handle-test.mjs')).default
}

function serve (request, response) {
  const [kind, ...segments] = new URL(request.url, 'http://origin.example').pathname.slice(1).split('/')
  if (handlers[kind]) return handlers[kind](segments, request, response)
  response.writeHead(404)
  response.end()
}

async function run ({ base, ids }) {
  const { runTests, getResults } = await load('client/runner.mjs')
  const fetch = (await import(pathToFileURL(require.resolve('node-fetch', { paths: [root] })))).default
  const suites = [...(await load('tests/index.mjs')).default, (await load('tests/surrogate-control.mjs')).default]
  const wanted = suites.map(suite => ({ ...suite, tests: suite.tests.filter(test => !ids || ids.includes(test.id)) }))
  await runTests(wanted, fetch, false, base)
  const results = getResults()
  const told = {}
  for (const test of wanted.flatMap(suite => suite.tests)) {
    if (!(test.id in results)) continue // it is for browsers
    told[test.id] = { kind: test.kind || 'required', name: test.name, result: results[test.id] }
  }
  return told
}

const server = http.createServer(serve)
await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
print(server.address().port)
for await (const line of readline.createInterface({ input: process.stdin })) {
  print(JSON.stringify(await run(JSON.parse(line))))
  break
}
process.exit(0)
