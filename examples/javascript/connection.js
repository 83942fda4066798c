// What the examples share: where the server is, and a connection whose events are read in order. It runs in Node, Deno and browsers.

const { env } = globalThis.process ?? { env: {} };
export const key = env.AVB_KEY ?? 'none';
export const url = env.AVB_URL ?? 'http://127.0.0.1:8000/v1';
export const model = (usual) => env.AVB_MODEL ?? usual;

/** Connects. A WebSocket can't send headers, so the key is shown as a subprotocol; in a browser use a secret (`ek_…`), never a key. */
export async function connect(query) {
  const address = `${url.replace('http', 'ws')}/realtime?${new URLSearchParams(query)}`;
  const socket = new WebSocket(address, ['realtime', `openai-insecure-api-key.${key}`]);
  const waiting = [];
  let wake = () => {};
  socket.addEventListener('message', ({ data }) => { waiting.push(JSON.parse(data)); wake(); });
  socket.addEventListener('close', () => { waiting.push(null); wake(); });
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', () => reject(new Error(`no connection to ${address}`)));
  });

  /** Each event of the server, until the connection ends. */
  async function* events() {
    for (;;) {
      while (waiting.length === 0) await new Promise((resolve) => { wake = resolve; });
      const event = waiting.shift();
      if (event === null) return;
      if (event.type === 'error') throw new Error(event.error.message);
      yield event;
    }
  }

  return { events, send: (event) => socket.send(JSON.stringify(event)), socket };
}

/** A typed line of the caller, and the request for an answer. */
export function ask(connection, text) {
  const content = [{ type: 'input_text', text }];
  connection.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content } });
  connection.send({ type: 'response.create' });
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
