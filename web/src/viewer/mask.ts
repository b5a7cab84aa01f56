/**
 * A mask of an image as tiles of 512 × 512 pixels, made where something was painted.
 *
 * A pixel (x, y) is on where a brush's disc covers its centre (x + 0.5, y + 0.5). Undo keeps, for a stroke, the
 * tiles it changed as they were before.
 */
import type { Box, Point, Size } from "./geometry";

export const TILE = 512;

/** Tiles that a stroke changed, as they were before; null where there was none. */
export type TileUndo = Map<string, Uint8Array | null>;

/** Runs of pixels in a tile, row by row, alternately off and on, beginning with off. */
export type TileRuns = { x: number; y: number; runs: number[] };

export class Mask {
  readonly tiles = new Map<string, Uint8Array>();
  private before: TileUndo | null = null;

  constructor(readonly size: Size) {}

  /** Whether a pixel is on. */
  at(x: number, y: number): boolean {
    const tile = this.tiles.get(`${Math.floor(x / TILE)},${Math.floor(y / TILE)}`);
    return tile !== undefined && tile[(y % TILE) * TILE + (x % TILE)] === 1;
  }

  /** Begins a stroke: from now on, tiles are kept as they were. */
  begin(): void {
    this.before = new Map();
  }

  /** Ends a stroke. Returns what undoes it; null where it changed no pixel. */
  end(): TileUndo | null {
    const before = this.before;
    this.before = null;
    return before && before.size > 0 ? before : null;
  }

  /** Puts tiles back as an undo has them. Returns what redoes it. */
  restore(undo: TileUndo): TileUndo {
    const redo: TileUndo = new Map();
    for (const [key, tile] of undo) {
      redo.set(key, this.tiles.get(key) ?? null);
      if (tile) this.tiles.set(key, tile);
      else this.tiles.delete(key);
    }
    return redo;
  }

  /** Paints (1) or erases (0) along a line with a round brush; a diameter of 1 is one pixel wide. */
  stroke(from: Point, to: Point, diameter: number, value: 0 | 1): void {
    const steps = Math.max(1, Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1]) / Math.max(diameter / 4, 0.5)));
    for (let step = 0; step <= steps; step++) {
      const share = step / steps;
      this.dab([from[0] + (to[0] - from[0]) * share, from[1] + (to[1] - from[1]) * share], diameter, value);
    }
  }

  /** Paints or erases a disc. */
  dab([cx, cy]: Point, diameter: number, value: 0 | 1): void {
    if (diameter <= 1) return this.row(Math.floor(cy), Math.floor(cx), Math.floor(cx) + 1, value);
    const radius = diameter / 2;
    for (let y = Math.floor(cy - radius); y <= Math.ceil(cy + radius); y++) {
      const half = radius ** 2 - (y + 0.5 - cy) ** 2;
      if (half < 0) continue;
      const reach = Math.sqrt(half);
      this.row(y, Math.ceil(cx - reach - 0.5), Math.floor(cx + reach - 0.5) + 1, value);
    }
  }

  /** Fills the even-odd inside of a closed polygon. */
  fill(points: readonly Point[], value: 0 | 1): void {
    const ys = points.map((p) => p[1]);
    for (let y = Math.floor(Math.min(...ys)); y <= Math.max(...ys); y++) {
      const cuts: number[] = [];
      for (let i = 0, j = points.length - 1; i < points.length; j = i++) {
        const [[ax, ay], [bx, by]] = [points[j]!, points[i]!];
        if (ay > y + 0.5 !== by > y + 0.5) cuts.push(ax + ((y + 0.5 - ay) / (by - ay)) * (bx - ax));
      }
      cuts.sort((a, b) => a - b);
      for (let i = 0; i + 1 < cuts.length; i += 2) {
        this.row(y, Math.ceil(cuts[i]! - 0.5), Math.ceil(cuts[i + 1]! - 0.5), value);
      }
    }
  }

  /** Sets the pixels x0 … x1 − 1 of a row, inside the image. */
  private row(y: number, x0: number, x1: number, value: 0 | 1): void {
    if (y < 0 || y >= this.size.height) return;
    const end = Math.min(x1, this.size.width);
    for (let x = Math.max(x0, 0); x < end; ) {
      const column = Math.floor(x / TILE);
      const stop = Math.min(end, (column + 1) * TILE);
      this.tileRow(column, y, x - column * TILE, stop - column * TILE, value);
      x = stop;
    }
  }

  private tileRow(column: number, y: number, x0: number, x1: number, value: 0 | 1): void {
    const key = `${column},${Math.floor(y / TILE)}`;
    const start = (y % TILE) * TILE;
    let tile = this.tiles.get(key);
    if (tile ? tile.subarray(start + x0, start + x1).every((v) => v === value) : value === 0) return;
    if (this.before && !this.before.has(key)) {
      this.before.set(key, tile ?? null);
      tile = tile?.slice(); // a tile that an undo holds is never written again
    }
    tile ??= new Uint8Array(TILE * TILE);
    this.tiles.set(key, tile);
    tile.fill(value, start + x0, start + x1);
  }

  /** Runs of the tiles that hold a pixel, sorted by row and column. */
  runs(): TileRuns[] {
    const found: TileRuns[] = [];
    for (const [key, tile] of this.tiles) {
      if (!tile.includes(1)) continue;
      const [x, y] = key.split(",").map(Number) as [number, number];
      found.push({ x, y, runs: runsOf(tile) });
    }
    return found.sort((a, b) => a.y - b.y || a.x - b.x);
  }

  /** Mask of the runs that `runs` gave. Raises RangeError where a tile's runs are not its size. */
  static fromRuns(size: Size, tiles: readonly TileRuns[]): Mask {
    const mask = new Mask(size);
    for (const { x, y, runs } of tiles) mask.tiles.set(`${x},${y}`, tileOf(runs));
    return mask;
  }

  /** COCO's run lengths of the box around what is on: column by column, zeros first; null for an empty mask. */
  columns(): { box: Box; counts: number[] } | null {
    const box = this.bounds();
    if (!box) return null;
    const [x0, y0, x1, y1] = box;
    const counts: number[] = [0];
    const add = (length: number, value: number) => {
      if (length === 0) return;
      if ((counts.length - 1) % 2 === value) counts[counts.length - 1]! += length;
      else counts.push(length);
    };
    for (let x = x0; x < x1; x++) {
      for (let top = y0; top < y1; ) {
        const row = Math.floor(top / TILE);
        const end = Math.min(y1, (row + 1) * TILE);
        const tile = this.tiles.get(`${Math.floor(x / TILE)},${row}`);
        if (!tile) add(end - top, 0);
        else for (let y = top; y < end; y++) add(1, tile[(y - row * TILE) * TILE + (x % TILE)]!);
        top = end;
      }
    }
    return { box, counts };
  }

  /** Mask of what `columns` gave. */
  static fromColumns(size: Size, { box: [x0, y0, , y1], counts }: { box: Box; counts: readonly number[] }): Mask {
    const mask = new Mask(size);
    const height = y1 - y0;
    let at = 0;
    counts.forEach((count, i) => {
      for (let k = at; i % 2 === 1 && k < at + count; k++) {
        const x = x0 + Math.floor(k / height);
        mask.row(y0 + (k % height), x, x + 1, 1);
      }
      at += count;
    });
    return mask;
  }

  /** Smallest half-open box around the pixels that are on; null for an empty mask. */
  bounds(): Box | null {
    let [x0, y0, x1, y1] = [Infinity, Infinity, -Infinity, -Infinity];
    for (const [key, tile] of this.tiles) {
      const [left, top] = key.split(",").map((n) => Number(n) * TILE) as [number, number];
      for (let i = tile.indexOf(1); i !== -1; i = tile.indexOf(1, i + 1)) {
        const [x, y] = [left + (i % TILE), top + Math.floor(i / TILE)];
        x0 = Math.min(x0, x);
        y0 = Math.min(y0, y);
        x1 = Math.max(x1, x + 1);
        y1 = Math.max(y1, y + 1);
      }
    }
    return x1 > x0 ? [x0, y0, x1, y1] : null;
  }
}

/** Run lengths of a tile, alternately off and on, beginning with off; they add up to its size. */
export function runsOf(tile: Uint8Array): number[] {
  const runs: number[] = [];
  let [value, start] = [0, 0];
  for (let i = 0; i < tile.length; i++) {
    if (tile[i] === value) continue;
    runs.push(i - start);
    [value, start] = [tile[i]!, i];
  }
  runs.push(tile.length - start);
  return runs;
}

/** Tile of run lengths. Raises RangeError where they do not add up to its size. */
export function tileOf(runs: readonly number[]): Uint8Array {
  const sum = runs.reduce((a, b) => a + b, 0);
  if (sum !== TILE * TILE) throw new RangeError(`Runs of a tile must add up to ${TILE * TILE}. Received: ${sum}.`);
  const tile = new Uint8Array(TILE * TILE);
  let at = 0;
  runs.forEach((run, i) => {
    if (i % 2 === 1) tile.fill(1, at, at + run);
    at += run;
  });
  return tile;
}
