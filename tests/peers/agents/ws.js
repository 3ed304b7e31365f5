// Node's `ws`, client and server. What the lines say is in agent.py.

"use strict";

const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const path = require("node:path");
const readline = require("node:readline");

const root = path.join(__dirname, "..", "..", "..");
const { WebSocket, WebSocketServer } = require(path.join(root, ".node", "node_modules", "ws"));

const certificates = process.argv[2];
const connections = new Map();
const servers = [];
const DEFLATE = {
  server_no_context_takeover: "serverNoContextTakeover",
  client_no_context_takeover: "clientNoContextTakeover",
  server_max_window_bits: "serverMaxWindowBits",
  client_max_window_bits: "clientMaxWindowBits",
};

function tell(what) {
  process.stdout.write(JSON.stringify(what) + "\n");
}

function decoded(message) {
  return "text" in message ? message.text : Buffer.from(message.hex, "hex");
}

function common(options) {
  let deflate = false;
  if (options.deflate) {
    deflate = { threshold: 0 };
    for (const [name, value] of Object.entries(options.deflate)) deflate[DEFLATE[name]] = value;
  }
  return { perMessageDeflate: deflate, maxPayload: options.max_size || 100 * 2 ** 20 };
}

function converse(name, ws) {
  connections.set(name, ws);
  ws.on("message", (data, binary) => {
    if (name.startsWith("/echo")) ws.send(data, { binary });
    else tell({ name, event: "message", ...(binary ? { hex: data.toString("hex") } : { text: data.toString() }) });
  });
  ws.on("close", (code, reason) => tell({ name, event: "closed", code, reason: reason.toString() }));
  ws.on("error", () => {}); // a "close" follows
  tell({ name, event: "opened", subprotocol: ws.protocol || null, compressed: ws.extensions !== "" });
}

function until(emitter, event) {
  return new Promise((resolve) => emitter.once(event, resolve));
}

const verbs = {
  async listen(options) {
    const pem = options.tls ? fs.readFileSync(path.join(certificates, "server.pem")) : null;
    const server = pem ? https.createServer({ key: pem, cert: pem }) : http.createServer();
    const wanted = new Set(options.subprotocols || []);
    const endpoint = new WebSocketServer({
      server,
      handleProtocols: (offered) => [...offered].find((name) => wanted.has(name)) || false,
      verifyClient: (info, answer) =>
        info.req.url.startsWith("/refuse") ? answer(false, 403, "not you\n") : answer(true),
      ...common(options),
    });
    endpoint.on("connection", (ws, request) => converse(request.url, ws));
    servers.push(server);
    server.listen(0, "127.0.0.1");
    await until(server, "listening");
    return server.address().port;
  },

  async open({ name, uri, ...options }) {
    const settings = common(options);
    if (options.tls && options.trust !== false) {
      settings.ca = fs.readFileSync(path.join(certificates, "authority.pem"));
    }
    const ws = new WebSocket(uri, options.subprotocols || [], settings);
    let status = null;
    ws.on("unexpected-response", (request, response) => {
      status = response.statusCode;
      request.destroy();
      tell({ name, event: "refused", status, error: "" });
    });
    ws.on("error", (error) => {
      if (!connections.has(name) && status === null) tell({ name, event: "refused", status, error: `${error}` });
    });
    // Before anything that comes with the answer.
    ws.on("open", () => converse(name, ws));
  },

  async send({ name, ...message }) {
    const ws = connections.get(name);
    if (!("pieces" in message)) {
      ws.send(decoded(message));
      return;
    }
    const last = message.pieces.findLastIndex((piece) => piece !== null);
    for (const [number, piece] of message.pieces.entries()) {
      if (piece === null) await verbs.ping({ name });
      else ws.send(decoded(piece), { fin: number === last });
    }
  },

  async ping({ name }) {
    const ws = connections.get(name);
    const pong = until(ws, "pong");
    ws.ping("to and fro");
    await pong;
  },

  async close({ name, code, reason }) {
    const ws = connections.get(name);
    const closed = until(ws, "close");
    if (code === null) ws.close();
    else ws.close(code, reason);
    await closed;
  },

  // Open many connections at once; each sends a message and waits for its echo, then all close.
  async crowd({ uri, count }) {
    const opened = Array.from({ length: count }, (_, number) => {
      const ws = new WebSocket(uri);
      ws.on("open", () => ws.send(`I am ${number}`));
      return ws;
    });
    const echoes = await Promise.all(opened.map((ws) => until(ws, "message")));
    const codes = opened.map((ws) => until(ws, "close"));
    for (const ws of opened) ws.close(1000);
    return [echoes.map(String), await Promise.all(codes)];
  },
};

const lines = readline.createInterface({ input: process.stdin });
lines.on("line", async (line) => {
  const { number, verb, ...order } = JSON.parse(line);
  try {
    tell({ number, value: (await verbs[verb](order)) ?? null });
  } catch (error) {
    tell({ number, error: `${error.stack}` });
  }
});
lines.on("close", () => process.exit(0));
