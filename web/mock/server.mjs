/**
 * A mock of the station's server for the page alone: no database, no line, no dependency.
 *
 *     node mock/server.mjs [--port 8765] [--pages ../src/blemish/station/static] [--setup]
 *
 * It prints its address, serves the built page under the station's content security policy and keeps what that
 * policy reports (GET /mock/csp). Log in as admin, engineer, operator or viewer with the password "password12".
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { addPart, makeStation } from "./data.mjs";
import { png, surface } from "./pictures.mjs";
import { routes } from "./routes.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const { values } = parseArgs({
  options: { port: { type: "string", default: "0" }, pages: { type: "string", default: join(here, "../../src/blemish/station/static") }, setup: { type: "boolean", default: false }, still: { type: "boolean", default: false }, empty: { type: "boolean", default: false } },
});
const POLICY = "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; base-uri 'self'; form-action 'self'; object-src 'none'; report-uri /mock/csp";
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".txt": "text/plain" };
const ROLE_ORDER = ["viewer", "operator", "engineer", "admin"];

const station = makeStation({ empty: values.empty || values.setup });
if (!values.setup) for (const [i, role] of ROLE_ORDER.entries()) station.users.push({ id: i + 1, name: role, role, active: true, locked_until: null, created_at: "2026-11-01T08:00:00Z", password: "password12" });
const reports = [];

/** An answer that is not 200. */
export class Refused extends Error {
  constructor(status, message, extra = {}) {
    super(message);
    Object.assign(this, { status, extra });
  }
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, "http://mock");
  try {
    const chunks = [];
    for await (const piece of request) chunks.push(piece);
    const body = Buffer.concat(chunks);
    if (url.pathname === "/mock/csp") {
      if (request.method === "POST") reports.push(body.toString());
      return send(response, 200, reports);
    }
    if (!url.pathname.startsWith("/api/v1/")) return await page(url.pathname, response);
    const picture = pictureOf(url);
    if (picture) return send(response, 200, picture, "image/png", { "Cache-Control": "private, max-age=31536000, immutable" });
    const cookie = /blemish_session=(\w+)/.exec(request.headers.cookie ?? "")?.[1];
    const asked = { station, url, method: request.method, path: url.pathname.slice(7), headers: request.headers, user: station.sessions.get(cookie) ?? null, cookie, refuse: (...args) => { throw new Refused(...args); } };
    const type = request.headers["content-type"] ?? "";
    asked.body = body.length > 0 && type.includes("json") ? JSON.parse(body) : {};
    const answer = routes(asked);
    if (answer === null) return send(response, 204, null);
    const { status, content, type: kind, headers } = "content" in answer ? answer : { content: answer };
    send(response, status ?? 200, content, kind, headers);
  } catch (error) {
    send(response, error.status ?? 500, { error: error.message, id: "mock", ...error.extra });
    if (!error.status) console.error(error);
  }
});

function send(response, status, content, type = "application/json", headers = {}) {
  const body = Buffer.isBuffer(content) ? content : content === null || content === undefined ? "" : typeof content === "string" ? content : JSON.stringify(content);
  response.writeHead(status, { "Content-Type": type, "Content-Security-Policy": POLICY, "Cache-Control": "no-store", ...headers });
  response.end(body);
}

async function page(path, response) {
  const name = normalize(path === "/" ? "/index.html" : path);
  try {
    send(response, 200, await readFile(join(values.pages, name)), TYPES[extname(name)] ?? "application/octet-stream");
  } catch {
    send(response, 404, { error: `There is no page ${path}.`, id: "mock" });
  }
}

/** Tile or crop of a part's picture; null for another address. */
function pictureOf(url) {
  const [, sha, rest] = /^\/api\/v1\/images\/([0-9a-f]{64})\/(tiles\/\d+\/\d+_\d+|crop)$/.exec(url.pathname) ?? [];
  const inspection = station.inspections.find((each) => each.image.sha256 === sha);
  if (!rest || !inspection?.image.kept) return null;
  const { width, height, levels } = { ...inspection.image, levels: levelsOf(inspection.image) };
  const [lo, hi] = [Number(url.searchParams.get("lo") ?? 0) / 256, Number(url.searchParams.get("hi") ?? 65535) / 256];
  const few = inspection.doc.defects.slice(0, 60);
  const grey = (x, y) => Math.max(0, Math.min(255, ((surface(x, y, few) - lo) * 255) / (hi - lo)));
  if (rest === "crop") {
    const scale = Math.max(1, Math.max(width, height) / Number(url.searchParams.get("largest") ?? 1280));
    return png(Math.round(width / scale), Math.round(height / scale), (x, y) => grey(x * scale, y * scale));
  }
  const [level, x, y] = rest.match(/\d+/g).map(Number);
  const scale = 2 ** (levels - 1 - level);
  const [w, h] = [width, height].map((edge, i) => Math.min(512, Math.ceil(edge / scale) - 512 * [x, y][i]));
  if (w <= 0 || h <= 0) return null;
  return png(w, h, (u, v) => grey((512 * x + u) * scale, (512 * y + v) * scale));
}

export function levelsOf({ width, height }) {
  let count = 1;
  for (let longest = Math.max(width, height); longest > 512; longest = Math.ceil(longest / 2)) count++;
  return count;
}

// Live: a part every 1.5 s to whoever looks; the next picture only after the last was drawn.
server.on("upgrade", (request, socket) => {
  const key = createHash("sha1").update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${key}\r\n\r\n`);
  const line = station.lines.find(({ id }) => request.url.includes(`/lines/${id}/`));
  const tell = () => {
    if (line?.state !== "running") return;
    const part = addPart(station, station.inspections.length);
    const { width, height } = part.image;
    const scale = Math.max(width, height) / 640;
    const picture = png(Math.round(width / scale), Math.round(height / scale), (x, y) => surface(x * scale, y * scale, part.doc.defects));
    const header = Buffer.alloc(24);
    header.write("BLF1");
    header.writeBigUInt64LE(BigInt(part.seq), 8);
    header.writeFloatLE(Math.round(width / scale) / width, 16);
    header.writeUInt32LE(picture.length, 20);
    const { seq, serial, lot, at, verdict, score, num_defects } = part;
    socket.write(frame(1, Buffer.from(JSON.stringify({ kind: "inspection", seq, serial, lot, at, verdict, score, error: null, defects: part.doc.defects, num_defects, shadow: false, image: part.image }))));
    socket.write(frame(2, Buffer.concat([header, picture])));
  };
  const timer = values.still ? setTimeout(tell, 100) : setInterval(tell, 1500);
  for (const event of ["close", "error", "end"]) socket.on(event, () => clearInterval(timer));
  socket.on("data", () => {});
});

function frame(kind, data) {
  const head = data.length < 126 ? Buffer.from([0x80 | kind, data.length]) : Buffer.alloc(data.length < 65536 ? 4 : 10);
  if (data.length >= 126) {
    head[0] = 0x80 | kind;
    head[1] = data.length < 65536 ? 126 : 127;
    if (data.length < 65536) head.writeUInt16BE(data.length, 2);
    else head.writeBigUInt64BE(BigInt(data.length), 2);
  }
  return Buffer.concat([head, data]);
}

server.listen(Number(values.port), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
