'use strict';
// What the client and the server of the gRPC tests have in common.

const path = require('path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const definition = loader.loadSync(path.join(__dirname, 'test.proto'), { keepCase: true, longs: Number, defaults: true });

exports.grpc = grpc;
exports.Test = grpc.loadPackageDefinition(definition).usher.test.Test;
exports.MiB = 1024 * 1024;
// A message of 4 MiB is beyond grpc-js's own bound, which counts the bytes around it.
exports.options = { 'grpc.max_receive_message_length': 16 * exports.MiB, 'grpc.max_send_message_length': 16 * exports.MiB };
