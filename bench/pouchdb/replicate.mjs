// Replicates N documents from one PouchDB to an empty one, each in a process of its own, over loopback TLS 1.3.
// The documents are those of `tombolo-bench replicate`; the result counts only if the target holds all of them.
//
//   cd bench/pouchdb && npm install
//   unshare -n sh -c 'ip link set lo up; node replicate.mjs 100000 regular'
//
// Needs openssl on the path for a certificate. PouchDB answers a batch before its LevelDB has flushed it, and we do not.
import { execFileSync, fork } from 'node:child_process';
import fs from 'node:fs';
import https from 'node:https';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const BATCH = 1000;
const RANDOM_CHARACTERS = 200;
const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_';
const require = createRequire(import.meta.url);

const pad = (number, digits) => String(number).padStart(digits, '0');

function order(number, payload) {
  const cents = (number * 37) % 10000;
  const time = `${pad(Math.floor(number / 3600) % 24, 2)}:${pad(Math.floor(number / 60) % 60, 2)}:${pad(number % 60, 2)}`;
  const document = {
    _id: `order:${pad(number, 8)}`,
    storeId: `s${number % 100}`,
    status: ['new', 'open', 'paid', 'done'][number % 4],
    total: cents / 100,
    createdAt: `2023-11-${pad((Math.floor(number / 86400) % 30) + 1, 2)}T${time}.000Z`,
    customer: { name: `Customer ${number}`, email: `c${number}@example.com`, loyalty: number % 7 },
    items: {
      a: { sku: `SKU-${number % 997}`, qty: (number % 5) + 1, price: 9.99 },
      b: { sku: `SKU-${number % 991}`, qty: (number % 3) + 1, price: 4.5 },
      c: { sku: `SKU-${number % 983}`, qty: 1, price: 1.25 },
    },
    notes: `lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor ${number}`,
  };
  if (payload === 'random') {
    const pick = () => ALPHABET[Math.floor(Math.random() * ALPHABET.length)];
    document.note = Array.from({ length: RANDOM_CHARACTERS }, pick).join('');
  }
  return document;
}

function loopbackBytes() {
  const line = fs.readFileSync('/proc/net/dev', 'utf8').split('\n').find((text) => /^\s*lo:/.test(text));
  return Number(line.split(':')[1].trim().split(/\s+/)[0]);
}

function usage() {
  const { user, system } = process.cpuUsage();
  return { cpuUs: user + system, rssKib: Math.round(process.memoryUsage().rss / 1024), peakKib: process.resourceUsage().maxRSS };
}

async function source({ directory, count, payload, tls }) {
  const PouchDB = require('pouchdb').defaults({ prefix: `${directory}/` });
  const express = require('express');
  const pouch = require('express-pouchdb');
  const app = express();
  const files = { logPath: `${directory}/log.txt`, configPath: `${directory}/config.json` };
  app.use('/', pouch(PouchDB, { mode: 'minimumForPouchDB', inMemoryConfig: true, ...files }));
  const database = new PouchDB('source');
  let jsonBytes = 0;
  for (let first = 0; first < count; first += BATCH) {
    const length = Math.min(BATCH, count - first);
    const documents = Array.from({ length }, (_, at) => order(first + at, payload));
    jsonBytes += documents.reduce((sum, document) => sum + JSON.stringify(document).length, 0);
    await database.bulkDocs(documents);
  }
  const server = https.createServer({ key: tls.key, cert: tls.certificate, minVersion: 'TLSv1.3' }, app);
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  return { port: server.address().port, jsonBytes };
}

async function target({ directory, count, port }) {
  const PouchDB = require('pouchdb').defaults({ prefix: `${directory}/` });
  const database = new PouchDB('target');
  await database.info();
  const before = usage();
  const began = process.hrtime.bigint();
  const options = { batch_size: BATCH, batches_limit: 10 };
  const result = await database.replicate.from(`https://127.0.0.1:${port}/source`, options);
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  const { doc_count: held } = await database.info();
  if (result.docs_written !== count || held !== count) throw new Error(`wrote ${result.docs_written}, holds ${held}`);
  const after = usage();
  return { seconds, cpuUs: after.cpuUs - before.cpuUs, memoryMib: (after.peakKib - before.rssKib) / 1024 };
}

function child(role, task) {
  const environment = { ...process.env, NODE_TLS_REJECT_UNAUTHORIZED: '0' };
  const started = fork(fileURLToPath(import.meta.url), ['child', role], { env: environment, execArgv: ['--max-old-space-size=8192', '--no-warnings'] });
  const ask = (message) => new Promise((resolve, reject) => {
    started.once('message', (answer) => (answer.error ? reject(new Error(answer.error)) : resolve(answer)));
    started.send(message);
  });
  return { ask, done: ask(task), end: () => started.kill() };
}

async function main(count, payload) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tombolo-pouchdb-'));
  const [key, certificate] = ['key.pem', 'certificate.pem'].map((name) => path.join(directory, name));
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
    '-subj', '/CN=localhost', '-keyout', key, '-out', certificate], { stdio: 'ignore' });
  const tls = { key: fs.readFileSync(key, 'utf8'), certificate: fs.readFileSync(certificate, 'utf8') };
  const load = () => fs.readFileSync('/proc/loadavg', 'utf8').split(' ').slice(0, 3).join(' ');
  const loadBefore = load();
  const a = child('source', { directory, count, payload, tls });
  const { port, jsonBytes } = await a.done;
  const idle = await a.ask('usage');
  const wire = loopbackBytes();
  const b = child('target', { directory, count, port });
  const result = await b.done;
  const wireBytes = loopbackBytes() - wire;
  const used = await a.ask('usage');
  console.log(JSON.stringify({
    documents: count,
    payload,
    seconds: result.seconds,
    documentsPerSecond: Math.round(count / result.seconds),
    cpuUsPerDocument: { source: (used.cpuUs - idle.cpuUs) / count, target: result.cpuUs / count },
    targetMemoryGrowthMib: Math.round(result.memoryMib),
    wireOfJson: wireBytes / jsonBytes,
    load: { before: loadBefore, after: load() },
  }, null, 1));
  a.end();
  b.end();
  fs.rmSync(directory, { recursive: true, force: true });
}

if (process.argv[2] === 'child') {
  const work = process.argv[3] === 'source' ? source : target;
  process.on('message', (message) => {
    const answer = message === 'usage' ? Promise.resolve(usage()) : work(message);
    answer.then((found) => process.send(found), (error) => process.send({ error: String(error.stack ?? error) }));
  });
} else {
  await main(Number(process.argv[2] ?? 100000), process.argv[3] ?? 'regular');
}
