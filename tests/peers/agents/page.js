// What the page in Chromium does with an order. What orders and events say is in agent.py.

(() => {
  const connections = new Map();
  let queue = Promise.resolve();

  // One after the other, as `tell` goes to another process and comes back.
  function say(what) {
    queue = queue.then(() => tell(JSON.stringify(what)));
    return queue;
  }

  function until(target, event) {
    return new Promise((resolve) => target.addEventListener(event, resolve, { once: true }));
  }

  const verbs = {
    open({ name, uri, subprotocols }) {
      const ws = new WebSocket(uri, subprotocols || []);
      ws.binaryType = "arraybuffer";
      let opened = false;
      ws.onopen = () => {
        opened = true;
        connections.set(name, ws);
        const compressed = ws.extensions !== "";
        say({ name, event: "opened", subprotocol: ws.protocol || null, compressed });
      };
      ws.onmessage = ({ data }) => {
        say({ name, event: "message", ...(typeof data === "string" ? { text: data } : { hex: new Uint8Array(data).toHex() }) });
      };
      ws.onclose = ({ code, reason }) => {
        // A page is not told why it could not connect.
        if (opened) say({ name, event: "closed", code, reason });
        else say({ name, event: "refused", status: null, error: `${code}` });
      };
    },

    send({ name, ...message }) {
      connections.get(name).send("text" in message ? message.text : Uint8Array.fromHex(message.hex));
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
        ws.onopen = () => ws.send(`I am ${number}`);
        return ws;
      });
      const echoes = await Promise.all(opened.map((ws) => until(ws, "message")));
      const codes = opened.map((ws) => until(ws, "close"));
      for (const ws of opened) ws.close(1000);
      return [echoes.map(({ data }) => data), (await Promise.all(codes)).map(({ code }) => code)];
    },
  };

  globalThis.obey = async ({ number, verb, ...order }) => {
    try {
      await say({ number, value: (await verbs[verb](order)) ?? null });
    } catch (error) {
      await say({ number, error: `${error}` });
    }
  };
})();
