import { describe, expect, test } from "vitest";
import { area } from "./mask_area";
import type { Point } from "../src/viewer/geometry";
import { Mask, TILE, runsOf, tileOf } from "../src/viewer/mask";

const size = { width: 700, height: 600 };

/** Deterministic numbers in [0, 1). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
}

const pixels = (mask: Mask): string => {
  const found: string[] = [];
  for (let y = 0; y < size.height; y++) for (let x = 0; x < size.width; x++) if (mask.at(x, y)) found.push(`${x},${y}`);
  return found.join(" ");
};

test("a brush of one pixel sets exactly the pixel below the point", () => {
  const mask = new Mask(size);
  mask.dab([690.99, 512.01], 1, 1);
  expect(pixels(mask)).toBe("690,512");
  expect(mask.bounds()).toEqual([690, 512, 691, 513]);
  expect(mask.runs()).toEqual([{ x: 1, y: 1, runs: [178, 1, TILE * TILE - 179] }]);
});

test("a disc holds the pixels whose centres it covers, across tiles and at the edge", () => {
  for (const [cx, cy] of [[512, 512], [0.5, 600.2], [699, 599.5], [511.7, 300.3]] as Point[]) {
    const mask = new Mask(size);
    mask.dab([cx, cy], 23, 1);
    const expected: string[] = [];
    for (let y = 0; y < size.height; y++) {
      for (let x = 0; x < size.width; x++) if ((x + 0.5 - cx) ** 2 + (y + 0.5 - cy) ** 2 <= 11.5 ** 2) expected.push(`${x},${y}`);
    }
    expect(pixels(mask)).toBe(expected.join(" "));
    expect(area(mask)).toBe(expected.length);
  }
});

test("undo and redo of a stroke give back the pixels of before and after, erasing included", () => {
  const random = numbers(3);
  const mask = new Mask(size);
  const states = [pixels(mask)];
  const undos = [];
  for (let i = 0; i < 5; i++) {
    mask.begin();
    const at = (): Point => [random() * 700, random() * 600];
    mask.stroke(at(), at(), 40, i % 2 === 0 ? 1 : 0);
    const undo = mask.end();
    if (!undo) continue;
    undos.push(undo);
    states.push(pixels(mask));
  }
  const redos = [];
  for (let i = undos.length - 1; i >= 0; i--) {
    redos.push(mask.restore(undos[i]!));
    expect(pixels(mask)).toEqual(states[i]);
  }
  redos.reverse().forEach((redo, i) => {
    mask.restore(redo);
    expect(pixels(mask)).toEqual(states[i + 1]);
  });
});

test("a stroke that changes nothing is no step", () => {
  const mask = new Mask(size);
  mask.begin();
  mask.dab([50, 50], 9, 0);
  expect(mask.end()).toBeNull();
  mask.dab([50, 50], 9, 1);
  mask.begin();
  mask.dab([50, 50], 7, 1);
  expect(mask.end()).toBeNull();
});

describe("run lengths", () => {
  test("of random tiles come back as they were", () => {
    const random = numbers(11);
    for (const share of [0, 0.01, 0.5, 1]) {
      const tile = Uint8Array.from({ length: TILE * TILE }, () => (random() < share ? 1 : 0));
      expect(Buffer.compare(tileOf(runsOf(tile)), tile)).toBe(0);
    }
  });

  test("that do not fill a tile are refused", () => {
    expect(() => tileOf([5, 5])).toThrow("262144. Received: 10");
  });

  test("of a whole mask come back as they were", () => {
    const mask = new Mask(size);
    mask.stroke([500, 500], [680, 590], 30, 1);
    expect(pixels(Mask.fromRuns(size, mask.runs()))).toEqual(pixels(mask));
  });
});

test("COCO's columns: a worked example, and a mask across tiles comes back as it was", () => {
  const small = new Mask(size);
  for (const at of [[510, 511], [511, 512], [511, 511]] as Point[]) small.dab([at[0] + 0.5, at[1] + 0.5], 1, 1);
  // Box of 2 × 2: the first column is on, off; the second is on, on.
  expect(small.columns()).toEqual({ box: [510, 511, 512, 513], counts: [0, 1, 1, 2] });
  const mask = new Mask(size);
  mask.stroke([490, 480], [560, 590], 30, 1);
  mask.dab([20, 20], 5, 1);
  const columns = mask.columns()!;
  expect(columns.counts.reduce((a, b) => a + b)).toBe((columns.box[2] - columns.box[0]) * (columns.box[3] - columns.box[1]));
  expect(pixels(Mask.fromColumns(size, columns))).toBe(pixels(mask));
  expect(new Mask(size).columns()).toBeNull();
});

test("fill takes the pixels whose centres are inside, by the even-odd rule", () => {
  const star: Point[] = [[500, 400], [560, 590], [380, 480], [620, 480], [440, 590]];
  const mask = new Mask(size);
  mask.fill(star, 1);
  const inside = ([x, y]: Point) => {
    let odd = false;
    star.forEach(([ax, ay], i) => {
      const [bx, by] = star[(i + 1) % star.length]!;
      if (ay > y !== by > y && x < ax + ((y - ay) / (by - ay)) * (bx - ax)) odd = !odd;
    });
    return odd;
  };
  const expected: string[] = [];
  for (let y = 390; y < 600; y++) for (let x = 370; x < 640; x++) if (inside([x + 0.5, y + 0.5])) expected.push(`${x},${y}`);
  expect(pixels(mask)).toBe(expected.join(" "));
});
