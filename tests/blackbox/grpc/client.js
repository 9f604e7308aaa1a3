'use strict';
// One scenario of a gRPC client: node client.js SCENARIO ADDRESS NAME [CA]. Prints what it
// saw as one line of JSON; the test says what that must be.

const fs = require('fs');
const { grpc, Test, MiB, options } = require('./common');

const [scenario, address, name, ca] = process.argv.slice(2);
const credentials = ca ? grpc.credentials.createSsl(fs.readFileSync(ca)) : grpc.credentials.createInsecure();
const names = { 'grpc.default_authority': name, ...(ca ? { 'grpc.ssl_target_name_override': name } : {}) };
const client = new Test(address, credentials, { ...options, ...names });

// As promises: a unary call, and the messages and the status of a stream.
function unary(method, request, metadata = new grpc.Metadata(), more = {}) {
  return new Promise((resolve) => {
    const seen = {};
    const call = client[method](request, metadata, more, (error, answer) => {
      seen.error = error ? { code: error.code, details: error.details } : null;
      seen.answer = answer;
    });
    call.on('metadata', (head) => { seen.head = head.getMap(); });
    call.on('status', (status) => resolve({ ...seen, code: status.code, details: status.details, trailers: status.metadata.getMap() }));
  });
}

function collect(call) {
  return new Promise((resolve) => {
    let count = 0;
    let bytes = 0;
    let inOrder = true;
    call.on('data', (message) => {
      inOrder = inOrder && message.number === count;
      count += 1;
      bytes += message.payload.length;
    });
    call.on('error', () => {});
    call.on('status', (status) => resolve({ count, bytes, inOrder, code: status.code, details: status.details,
      trailers: status.metadata.getMap() }));
  });
}

const status = (call) => new Promise((resolve) => { call.on('error', () => {}).on('status', resolve); });

// The next message; a stream that ends instead gives none.
function message(call, ended) {
  return Promise.race([new Promise((resolve) => { call.once('data', resolve); }), ended.then(() => ({}))]);
}

async function chat(rounds, size) {
  const call = client.Chat();
  const ended = status(call);
  let right = 0;
  for (let number = 0; rounds(number); number++) {
    const answer = message(call, ended);
    call.write({ number, payload: Buffer.alloc(size, number) });
    // eslint-disable-next-line no-await-in-loop -- in lock step: nothing may be held back on the way
    if ((await answer).number !== number) break;
    right += 1;
  }
  call.end();
  call.on('data', () => {});
  return { right, code: (await ended).code };
}

const scenarios = {
  unary: () => unary('Echo', { text: 'hello', number: 42, payload: Buffer.from('abc') }),

  metadata() {
    const metadata = new grpc.Metadata();
    metadata.add('x-head', 'one');
    metadata.add('x-trailer-bin', Buffer.from([0, 1, 255]));
    metadata.add('x-only', 'here');
    return unary('Echo', { text: 'metadata' }, metadata);
  },

  serverStream: () => collect(client.Count({ count: 1000, size: 100 })),
  serverStreamLarge: () => collect(client.Count({ count: 64, size: 256 * 1024 })),

  clientStream() {
    return new Promise((resolve) => {
      const call = client.Sum((error, answer) => resolve({ error, answer }));
      const payload = Buffer.alloc(100 * 1024, 's');
      let left = 100;
      const more = () => {
        while (left > 0) {
          left -= 1;
          if (!call.write({ payload })) return call.once('drain', more);
        }
        return call.end();
      };
      more();
    });
  },

  bidirectional: () => chat((number) => number < 200, 10),
  bidirectionalLarge: () => chat((number) => number < 20, 200 * 1024),

  async large() {
    const payload = Buffer.alloc(4 * MiB, 'l');
    const seen = await unary('Echo', { payload });
    return { code: seen.code, details: seen.details, same: Boolean(seen.answer) && payload.equals(seen.answer.payload) };
  },

  trailersOnly: () => collect(client.Fail({ code: 5, details: 'nothing of that name: 100% ü', after: 0 })),
  errorAfterMessages: () => collect(client.Fail({ code: 8, details: 'enough', after: 3 })),
  unknownMethod: () => new Promise((resolve) => {
    client.makeUnaryRequest('/usher.test.Test/None', (value) => value, (value) => value, Buffer.alloc(0),
      (error) => resolve({ code: error.code, details: error.details }));
  }),

  async deadline() {
    const text = `deadline ${process.pid}`;
    await unary('Echo', { text: 'first' }); // so that the call leaves at once
    const seen = await unary('Hang', { text }, new grpc.Metadata(), { deadline: Date.now() + 300 });
    return { code: seen.code, cancelled: (await unary('Cancelled', { text })).answer.text === text };
  },

  async cancel() {
    const text = `cancel ${process.pid}`;
    const call = client.Hang({ text }, () => {});
    const ended = status(call);
    await new Promise((resolve) => { call.on('metadata', resolve); }); // it is at the server
    call.cancel();
    return { code: (await ended).code, cancelled: (await unary('Cancelled', { text })).answer.text === text };
  },

  async many() {
    const all = await Promise.all(Array.from({ length: 300 }, (_, number) => unary('Echo', { number, text: `call ${number}` })));
    return { right: all.filter((seen, number) => seen.code === 0 && seen.answer.number === number).length };
  },

  // Until the standard input ends: a stream that lives through whatever the test does meanwhile.
  async live() {
    let going = true;
    process.stdin.on('end', () => { going = false; }).resume();
    return chat((number) => {
      if (number === 1) console.error('live');
      return going;
    }, 1000);
  },
};

scenarios[scenario]().then((seen) => {
  console.log(JSON.stringify(seen));
  client.close();
  process.exit(0);
}, (error) => {
  console.error(error);
  process.exit(1);
});
