// A list of tasks that is live: it is read and written over /execute, and followed over /observe.
// The address of the node and the API key come after the # of the page's own address, which a browser
// sends to nobody: index.html#node=https://node.example:8443&key=...
const asked = new URLSearchParams(location.hash.slice(1));
const node = asked.get("node") ?? "http://127.0.0.1:8080";
const key = asked.get("key");

const headers = { "content-type": "application/json" };
if (key) headers.authorization = `Bearer ${key}`;

export async function execute(statement, args = {}) {
  const answer = await fetch(`${node}/execute`, {
    method: "POST",
    headers,
    body: JSON.stringify({ statement, args }),
  });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error.description);
  return told.items;
}

// The rows after a change. Deletes and `from` count in the rows before, everything else in the rows after.
export function applied(rows, { inserts, updates, deletes, moves }) {
  const gone = new Set([...deletes, ...moves.map((move) => move.from)]);
  const staying = rows.filter((_, index) => !gone.has(index)).values();
  const placed = new Map(inserts.map(({ index, row }) => [index, row]));
  for (const { from, to } of moves) placed.set(to, rows[from]);
  const length = rows.length - deletes.length + inserts.length;
  const next = Array.from({ length }, (_, index) =>
    placed.has(index) ? placed.get(index) : staying.next().value,
  );
  for (const { index, row } of updates) next[index] = row;
  return next;
}

// Hands over each event of a stream of server-sent events. It is not EventSource, because that sends no key.
async function* events(answer) {
  const text = answer.body.pipeThrough(new TextDecoderStream());
  let rest = "";
  for await (const piece of text) {
    const parts = (rest + piece).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const fields = Object.fromEntries(part.split("\n").map((line) => line.split(/: (.*)/s)));
      if (fields.event) yield { name: fields.event, data: JSON.parse(fields.data) };
    }
  }
}

// Calls `show` with all rows at once and after each change, until the node ends it.
export async function observe(statement, args, show) {
  const answer = await fetch(`${node}/observe`, {
    method: "POST",
    headers: { ...headers, accept: "text/event-stream" },
    body: JSON.stringify({ statement, args }),
  });
  if (!answer.ok) throw new Error((await answer.json()).error.description);
  let rows = [];
  for await (const { name, data } of events(answer)) {
    if (name === "initial") rows = data.rows;
    else if (name === "change") rows = applied(rows, data);
    else if (name === "error") throw new Error(data.error.description);
    show(rows);
  }
}

function show(rows) {
  const items = rows.map((row) => {
    const item = document.createElement("li");
    item.textContent = row.title;
    item.className = row.done ? "done" : "";
    item.onclick = () =>
      execute("UPDATE tasks SET done = :done WHERE _id = :id", { done: !row.done, id: row._id }).catch(tell);
    return item;
  });
  document.querySelector("#tasks").replaceChildren(...items);
  document.body.dataset.state = "live";
}

function tell(error) {
  document.querySelector("#told").textContent = error.message;
  document.body.dataset.state = "failed";
}

document.querySelector("#add").onsubmit = (event) => {
  event.preventDefault();
  const title = document.querySelector("#title").value;
  const task = { title, done: false, at: Date.now() };
  execute("INSERT INTO tasks DOCUMENTS (:task)", { task }).then(() => event.target.reset(), tell);
};

// A node that stops, or a network that breaks, ends the stream; the next one begins with all rows.
const PAUSE_MS = 2000;
for (;;) {
  try {
    await observe("SELECT * FROM tasks ORDER BY at", {}, show);
  } catch (error) {
    tell(error);
  }
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}
