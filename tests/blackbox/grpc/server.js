'use strict';
// The gRPC server of the tests: node server.js [CERTIFICATE KEY]. Prints its port, and ends
// with its standard input.

const fs = require('fs');
const { grpc, Test, options } = require('./common');

const cancelled = new Set();
const waiting = new Map();

function noteCancelled(text) {
  cancelled.add(text);
  for (const wake of waiting.get(text) || []) wake();
  waiting.delete(text);
}

const methods = {
  Echo(call, done) {
    // A field of metadata that asks for it comes back, in the head and in the trailers.
    const head = new grpc.Metadata();
    const trailer = new grpc.Metadata();
    for (const value of call.metadata.get('x-head')) head.add('x-head', value);
    for (const value of call.metadata.get('x-trailer-bin')) trailer.add('x-trailer-bin', value);
    call.sendMetadata(head);
    const seen = JSON.stringify(call.metadata.getMap());
    done(null, { ...call.request, text: call.request.text === 'metadata' ? seen : call.request.text }, trailer);
  },

  Count(call) {
    const { count, size } = call.request;
    const payload = Buffer.alloc(size, 'c');
    let number = 0;
    const more = () => {
      while (number < count) if (!call.write({ payload, number: number++ })) return call.once('drain', more);
      return call.end();
    };
    more();
  },

  Sum(call, done) {
    let count = 0;
    let bytes = 0;
    call.on('data', (message) => {
      count += 1;
      bytes += message.payload.length;
    });
    call.on('end', () => done(null, { number: count, text: String(bytes) }));
  },

  Chat(call) {
    call.on('data', (message) => call.write(message));
    call.on('end', () => call.end());
  },

  Fail(call) {
    const { code, details, after } = call.request;
    for (let number = 0; number < after; number++) call.write({ number });
    const metadata = new grpc.Metadata();
    metadata.set('x-reason', 'as asked');
    call.emit('error', { code, details, metadata });
  },

  Hang(call) {
    call.sendMetadata(new grpc.Metadata());
    call.on('cancelled', () => noteCancelled(call.request.text));
  },

  Cancelled(call, done) {
    const { text } = call.request;
    if (cancelled.has(text)) return done(null, { text });
    waiting.set(text, [...(waiting.get(text) || []), () => done(null, { text })]);
    return undefined;
  },
};

const [certificate, key] = process.argv.slice(2);
const credentials = certificate
  ? grpc.ServerCredentials.createSsl(null, [{ cert_chain: fs.readFileSync(certificate), private_key: fs.readFileSync(key) }])
  : grpc.ServerCredentials.createInsecure();

const server = new grpc.Server(options);
server.addService(Test.service, methods);
server.bindAsync('127.0.0.1:0', credentials, (error, port) => {
  if (error) throw error;
  console.log(port);
});
process.stdin.on('end', () => {
  server.forceShutdown();
  process.exit(0);
}).resume();
