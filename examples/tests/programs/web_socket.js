const assert = require("assert");
const WebSocket = require("ws");

const [url, path] = process.argv.slice(1);
const { pathname } = new URL(url);
const target = path ? `ws+unix://${path}:${pathname}` : url;
const compresses = pathname === "/ws";
const socket = new WebSocket(target, { rejectUnauthorized: false, perMessageDeflate: compresses });
const large = Buffer.from(Uint8Array.from({ length: 1024 * 1024 }, (_, i) => i % 251));
let ponged = false;
socket.on("pong", () => (ponged = true));
socket.on("open", () => {
  assert.equal(socket.extensions.startsWith("permessage-deflate"), compresses);
  socket.send("Hello");
});
socket.on("message", (data, isBinary) => {
  if (!isBinary) {
    assert.equal(data.toString(), "Hello");
    socket.ping();
    socket.send(large);
    return;
  }
  assert(large.equals(data));
  socket.close(1000, "done");
});
socket.on("close", (code, reason) => {
  assert(ponged);
  assert.equal(code, 1000);
  assert.equal(reason.toString(), "done");
  console.log("passed");
});
