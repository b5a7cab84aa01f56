import { expect, test } from "vitest";
import type { Box } from "../src/viewer/geometry";
import { HEIGHT, placeLabels, type Named } from "../src/viewer/labels";

const view = { width: 900, height: 600 };
const boxOf = ({ x, y }: { x: number; y: number }, wide: number): Box => [x, y, x + wide, y + HEIGHT];
const meets = (a: Box, b: Box) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];

/** Named boxes of a seed, in a cluster of the screen. */
function cluster(seed: number, count: number, spread: number): Named[] {
  let state = seed;
  const random = () => (state = (state * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
  return Array.from({ length: count }, () => {
    const [x, y] = [300 + random() * spread, 200 + random() * spread];
    return { box: [x, y, x + 4 + random() * 30, y + 4 + random() * 30] as const, wide: 60 + random() * 120 };
  });
}

test("a lone label stands above what it names, without a line", () => {
  expect(placeLabels([{ box: [100, 100, 140, 120], wide: 80 }], [[100, 100, 140, 120]], view)).toEqual([{ x: 100, y: 76, line: null }]);
});

test("at the upper edge it stands below", () => {
  expect(placeLabels([{ box: [100, 2, 140, 30], wide: 80 }], [[100, 2, 140, 30]], view)).toEqual([{ x: 100, y: 34, line: null }]);
});

test("labels of near defects hide neither each other nor a defect, and stay on the screen", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const named = cluster(seed, 25, 60 + seed * 5);
    const boxes = named.map(({ box }) => box);
    const places = placeLabels(named, boxes, view).flatMap((place, i) => (place ? [boxOf(place, named[i]!.wide)] : []));
    expect(places.length).toBeGreaterThan(5);
    places.forEach((place, i) => {
      expect(place[0] >= 0 && place[1] >= 0 && place[2] <= view.width && place[3] <= view.height).toBe(true);
      expect(boxes.some((box) => meets(place, box))).toBe(false);
      expect(places.slice(i + 1).some((other) => meets(place, other))).toBe(false);
    });
  }
});

test("a label that stands away from its defect is joined to it by a line", () => {
  const middle: Box = [400, 300, 410, 310];
  const around: Box[] = [[300, 270, 500, 298], [300, 312, 500, 340], [300, 298, 396, 312], [414, 298, 500, 312]];
  const [place] = placeLabels([{ box: middle, wide: 90 }], [middle, ...around], view);
  expect(place!.line).not.toBeNull();
  expect(meets(boxOf(place!, 90), around[0]!)).toBe(false);
});

test("a defect as large as the screen has its label inside", () => {
  const [place] = placeLabels([{ box: [-50, -50, 950, 650], wide: 90 }], [[-50, -50, 950, 650]], view);
  expect(place).toEqual({ x: 4, y: 4, line: null });
});

test("the first labels have the first choice; where there is no room, the last are left out", () => {
  const same: Box = [200, 200, 210, 210];
  const places = placeLabels(Array.from({ length: 200 }, () => ({ box: same, wide: 300 })), [same], view);
  expect(places[0]).toEqual({ x: 200, y: 176, line: null });
  expect(places.at(-1)).toBeNull();
});
