import { createServer } from "node:http";
import { json } from "node:stream/consumers";

const users = new Map([["token-of-ada", "ada"]]);

async function judge(call) {
  const userID = users.get((await json(call)).token);
  if (!userID) return { authenticated: false };
  const own = { everything: false, queriesByCollection: { notes: [`_id.owner == '${userID}'`] } };
  return { authenticated: true, userID, expirationSeconds: 3600, permissions: { read: own, write: own } };
}

createServer((call, reply) => judge(call).then(
  (answer) => reply.end(JSON.stringify(answer)),
  () => reply.writeHead(400).end(),
)).listen(9471, "127.0.0.1");
