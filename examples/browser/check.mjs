// Serves the page from two origins, lets Chromium use it from both, and compares with the node's own answers.
// Arguments: the node's address, an API key, the port of the named origin, the port of another.
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [node, key, namedPort, otherPort] = process.argv.slice(2);
const here = new URL(".", import.meta.url);
const kinds = { html: "text/html", js: "text/javascript" };
// Longest wait for Chromium to load a page and use it.
const WAIT_MS = 25_000;

async function execute(statement, args = {}) {
  const answer = await fetch(`${node}/execute`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify({ statement, args }),
  });
  const told = await answer.json();
  if (!answer.ok) throw new Error(JSON.stringify(told));
  return told.items;
}

const add = (title, at) => execute("INSERT INTO tasks DOCUMENTS (:task)", { task: { title, done: false, at } });

// Serves the files of this directory on a port; `posted` gets what the page tells.
function serve(port, posted) {
  const server = createServer(async (request, answer) => {
    const name = request.url.split("?")[0].slice(1);
    if (request.method === "POST") {
      let body = "";
      for await (const piece of request) body += piece;
      await posted(name, JSON.parse(body));
      answer.end();
    } else if (/^(index|check)\.html$|^tasks\.js$/.test(name)) {
      answer.setHeader("content-type", kinds[name.split(".")[1]]);
      answer.end(await readFile(new URL(name, here)));
    } else {
      answer.writeHead(404).end();
    }
  });
  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server)));
}

// Lets Chromium use the page from an origin until it tells its outcome.
async function use(port) {
  const profile = await mkdtemp(join(tmpdir(), "chromium-"));
  let outcome;
  const told = new Promise((resolve) => (outcome = resolve));
  const server = await serve(port, async (name, body) => {
    if (name === "written") await add("from elsewhere", 3e12);
    if (name === "outcome") outcome(body);
  });
  const url = `http://127.0.0.1:${port}/check.html#node=${node}&key=${encodeURIComponent(key)}`;
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    `--user-data-dir=${profile}`];
  const chromium = spawn("chromium", [...flags, url], { stdio: "ignore" });
  const late = new Promise((resolve) => setTimeout(resolve, WAIT_MS, undefined).unref());
  const result = await Promise.race([told, late]);
  const ended = new Promise((resolve) => chromium.on("exit", resolve));
  chromium.kill();
  await ended;
  server.closeAllConnections();
  server.close();
  await rm(profile, { recursive: true, force: true, maxRetries: 3 });
  return result;
}

function expect(what, found, expected) {
  if (JSON.stringify(found) !== JSON.stringify(expected)) {
    console.error(`FAILED: ${what}: ${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`);
    process.exit(1);
  }
  console.log(`ok: ${what}`);
}

await add("before", 1);
expect("the named origin reads, writes and observes", await use(namedPort), { state: "live", rows: 3 });
const tasks = () => execute("SELECT title, done FROM tasks ORDER BY at");
const written = [
  { title: "before", done: false },
  { title: "from the page", done: false },
  { title: "from elsewhere", done: true },
];
const sorted = (rows) => rows.map(({ title, done }) => ({ title, done }));
expect("what it wrote is in the database", sorted(await tasks()), written);
expect("another origin reads, writes and observes nothing", await use(otherPort), { state: "failed", rows: 0 });
expect("and the database is as it was", sorted(await tasks()), written);
