/**
 * Places for labels beside what they name: on no outline's box, on no other label, on the screen. Screen pixels.
 *
 * The first labels have the first choice. One that finds no free place near what it names is left out.
 */
import type { Box } from "./geometry";

export const HEIGHT = 20;
const GAP = 4;
const STEPS = 6; // how many label heights away a place is looked for

/** What is named. box: around it; wide: of its label */
export type Named = { readonly box: Box; readonly wide: number };

/** Corner of a label. line: from the label to the box, where they do not touch */
export type Place = { readonly x: number; readonly y: number; readonly line: readonly [number, number, number, number] | null };

/**
 * Places for labels, in the order of what is named; null for one left out.
 *
 * taken: boxes that no label may hide; view: width and height of the screen
 */
export function placeLabels(named: readonly Named[], taken: readonly Box[], view: { width: number; height: number }): (Place | null)[] {
  // What fills much of the screen has room for labels inside it only.
  const solid = taken.filter(([x0, y0, x1, y1]) => (x1 - x0) * (y1 - y0) < 0.2 * view.width * view.height);
  const labels: Box[] = [];
  return named.map(({ box, wide }) => {
    for (const obstacles of solid.length < taken.length ? [taken, solid] : [taken]) {
      for (const [x, y] of candidates(onScreen(box, view), wide)) {
        const place: Box = [x, y, x + wide, y + HEIGHT];
        if (x < 0 || y < 0 || place[2] > view.width || place[3] > view.height) continue;
        if (meetsAny(place, labels) || meetsAny(place, obstacles)) continue;
        labels.push(place);
        return { x, y, line: lineTo(place, box) };
      }
    }
    return null;
  });
}

/** The part of a box that is on the screen. */
function onScreen([x0, y0, x1, y1]: Box, { width, height }: { width: number; height: number }): Box {
  return [Math.max(x0, 0), Math.max(y0, 0), Math.min(x1, width), Math.min(y1, height)];
}

/** Corners of a label around a box, the nearest first; then inside it. */
function* candidates([x0, y0, x1, y1]: Box, wide: number): Iterable<readonly [number, number]> {
  const middle = (y0 + y1 - HEIGHT) / 2;
  for (let step = 0; step < STEPS; step++) {
    const away = GAP + step * HEIGHT;
    const [above, below, left, right] = [y0 - away - HEIGHT, y1 + away, x0 - away - wide, x1 + away];
    yield [x0, above];
    yield [x0, below];
    yield [x1 - wide, above];
    yield [x1 - wide, below];
    yield [right, middle];
    yield [left, middle];
    yield [right, above];
    yield [right, below];
    yield [left, above];
    yield [left, below];
  }
  yield [x0 + GAP, y0 + GAP];
  yield [x1 - GAP - wide, y1 - GAP - HEIGHT];
}

const meets = (a: Box, b: Box) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
const meetsAny = (place: Box, others: readonly Box[]) => others.some((other) => meets(place, other));

/** Shortest line from a label to a box; null where they are close. */
function lineTo([x0, y0, x1, y1]: Box, box: Box): Place["line"] {
  const [x, nearX] = between(x0, x1, box[0], box[2]);
  const [y, nearY] = between(y0, y1, box[1], box[3]);
  return Math.hypot(x - nearX, y - nearY) > 2 * GAP ? [x, y, nearX, nearY] : null;
}

/** Nearest numbers of two ranges; the middle of what they share where they overlap. */
function between(a0: number, a1: number, b0: number, b1: number): readonly [number, number] {
  if (a1 < b0) return [a1, b0];
  if (b1 < a0) return [a0, b1];
  const shared = (Math.max(a0, b0) + Math.min(a1, b1)) / 2;
  return [shared, shared];
}
