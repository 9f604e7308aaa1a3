// An OpenID Connect provider (oidc-provider) for tests/blackbox/test_access_openid.py. Its one argument is JSON:
//
//   {client: {...}, accounts: {NAME: {claim: value}}}, and where wanted tls: {key, cert}, host, port, and under "provider"
// more of its settings.
//
// Whoever logs in with a name that is there is that one, whatever the password. It prints its port, and ends with its
// standard input.
'use strict';

const fs = require('fs');
const http = require('http');
const https = require('https');
const { pathToFileURL } = require('url');

async function main() {
  const { client, accounts, tls, host, port: wanted, provider: more } = JSON.parse(process.argv[2]);
  // What NODE_PATH leads to is found by require alone.
  const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));
  const server = tls ? https.createServer({ key: fs.readFileSync(tls.key), cert: fs.readFileSync(tls.cert) }) : http.createServer();
  await new Promise((resolve) => { server.listen(wanted || 0, '127.0.0.1', resolve); });
  const { port } = server.address();
  const provider = new Provider(`${tls ? 'https' : 'http'}://${host || '127.0.0.1'}:${port}`, {
    clients: [client],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['preferred_username', 'groups', 'department', 'staff'] },
    cookies: { keys: ['of the tests'] },
    pkce: { required: () => true },
    findAccount: (ctx, id) => (accounts[id] ? { accountId: id, claims: () => ({ sub: id, ...accounts[id] }) } : undefined),
    ...more,
  });
  server.on('request', provider.callback());
  process.stdout.write(`${port}\n`);
  process.stdin.on('end', () => process.exit(0));
  process.stdin.resume();
}

main();
