/** Pictures of the mock: grey surfaces that are a function of the pixel, so that a tile needs no image behind it. */
import { deflateSync } from "node:zlib";

const crcs = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  let crc = 0xffffffff;
  for (const byte of body) crc = crcs[(crc ^ byte) & 255] ^ (crc >>> 8);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE((crc ^ 0xffffffff) >>> 0, body.length + 4);
  return out;
}

/** Grey PNG of a function of (x, y). */
export function png(width, height, grey) {
  const rows = Buffer.alloc(height * (width + 1));
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) rows[y * (width + 1) + 1 + x] = grey(x, y);
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head[8] = 8;
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  return Buffer.concat([signature, chunk("IHDR", head), chunk("IDAT", deflateSync(rows, { level: 1 })), chunk("IEND", Buffer.alloc(0))]);
}

/** Grey of a brushed surface with a grid, and dark where a defect is. */
export function surface(x, y, defects) {
  for (const { box_xyxy: [x0, y0, x1, y1] } of defects) {
    if (x >= x0 && x < x1 && y >= y0 && y < y1) {
      const [u, v] = [(2 * (x - x0)) / (x1 - x0) - 1, (2 * (y - y0)) / (y1 - y0) - 1];
      if (u * u + v * v < 0.8) return 50;
    }
  }
  const grid = x % 256 < 1 || y % 256 < 1 ? 25 : 0;
  return 150 + 12 * Math.sin(y / 7) + 8 * Math.sin(x / 211) + grid;
}
