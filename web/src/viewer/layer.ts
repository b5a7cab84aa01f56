/** Draws defects, annotations and what is being drawn on a canvas above the picture, from image pixels. */
import type { Box, Point, Shape, Size } from "./geometry";
import { boundsOf, handles, outlines } from "./geometry";
import { HEIGHT, placeLabels, type Place } from "./labels";
import { TILE, type Mask } from "./mask";

/** Screen pixels of an image pixel: x · scale + left, y · scale + top. */
export type View = { scale: number; left: number; top: number; width: number; height: number; ratio: number };

/** An outline to draw. parts: closed polygons; bounds: of them all; figure: behind its name */
export type Mark = {
  readonly parts: readonly (readonly Point[])[];
  readonly bounds: Box;
  readonly colour: string;
  readonly label: string;
  readonly figure?: string;
  readonly dashed?: boolean;
  readonly selected?: boolean;
};

const MAX_LABELS = 40;
const LONGEST_LABEL = 32; // letters
const MANY = 400; // marks on the screen above which each is a plain line without a name
const SMALLEST_OUTLINE = 6; // screen pixels below which an outline is drawn as its box

/** Mark of a shape; the whole image has its edge. */
export function markOf(shape: Shape, size: Size, colour: string, label: string, selected = false): Mark {
  const whole: Shape = { kind: "box", box: [0, 0, size.width, size.height] };
  const parts = outlines(shape.kind === "whole_image" ? whole : shape);
  return { parts, bounds: boundsOf(parts.flat()), colour, label, selected };
}

/** Marks whose bounds meet the part of the image that is on the screen. */
function visible(marks: readonly Mark[], view: View): Mark[] {
  const [x0, y0] = [-view.left / view.scale, -view.top / view.scale];
  const [x1, y1] = [x0 + view.width / view.scale, y0 + view.height / view.scale];
  return marks.filter(({ bounds: b }) => b[0] <= x1 && b[2] >= x0 && b[1] <= y1 && b[3] >= y0);
}

export function clear(context: CanvasRenderingContext2D, view: View): void {
  context.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
  context.clearRect(0, 0, view.width, view.height);
}

/** Draws marks: dark below and colour above, so that they stand out on any picture. */
export function drawMarks(context: CanvasRenderingContext2D, marks: readonly Mark[], view: View): void {
  const seen = visible(marks, view);
  const many = seen.length > MANY;
  for (const group of alike(seen)) {
    const { colour, dashed, selected } = group[0]!;
    context.beginPath();
    for (const mark of group) trace(context, mark, view);
    if (!many) {
      context.strokeStyle = "rgba(0, 0, 0, 0.7)";
      context.lineWidth = selected ? 5 : 4;
      context.stroke();
    }
    context.setLineDash(dashed && !many ? [6, 3] : []);
    context.strokeStyle = colour;
    context.lineWidth = selected ? 3 : many ? 1 : 2;
    context.stroke();
    context.setLineDash([]);
  }
}

/** Marks of the same ink together, so that each group is one path. */
function alike(marks: readonly Mark[]): Iterable<Mark[]> {
  const groups = new Map<string, Mark[]>();
  for (const mark of marks) {
    const key = `${mark.colour} ${mark.dashed ?? false} ${mark.selected ?? false}`;
    const group = groups.get(key);
    if (group) group.push(mark);
    else groups.set(key, [mark]);
  }
  return groups.values();
}

function trace(context: CanvasRenderingContext2D, { parts, bounds }: Mark, { scale, left, top }: View): void {
  const [x0, y0, x1, y1] = bounds;
  const small = Math.max(x1 - x0, y1 - y0) * scale < SMALLEST_OUTLINE;
  if (small || parts.every((part) => part.length < 3)) {
    const [width, height] = [Math.max((x1 - x0) * scale, 3), Math.max((y1 - y0) * scale, 3)];
    context.rect(x0 * scale + left, y0 * scale + top, width, height);
    return;
  }
  for (const part of parts) {
    part.forEach(([x, y], i) =>
      i === 0 ? context.moveTo(x * scale + left, y * scale + top) : context.lineTo(x * scale + left, y * scale + top),
    );
    context.closePath();
  }
}

/** Draws the names of marks where they hide no mark and no other name; the selected one's first, then as they come. */
export function drawLabels(context: CanvasRenderingContext2D, marks: readonly Mark[], view: View): void {
  const seen = visible(marks, view);
  const asked = seen.filter(({ label, selected }) => label && (selected || seen.length <= MANY));
  const labelled = [...asked.filter(({ selected }) => selected), ...asked.filter(({ selected }) => !selected)].slice(0, MAX_LABELS);
  if (labelled.length === 0) return;
  context.font = "600 13px system-ui, sans-serif";
  context.textBaseline = "middle";
  const named = labelled.map((mark) => {
    const text = `${shortened(mark.label)}${mark.figure ? ` ${mark.figure}` : ""}`;
    return { mark, text, box: onScreen(mark, view), wide: context.measureText(text).width + 12 };
  });
  const places = placeLabels(named, seen.map((mark) => onScreen(mark, view)), view);
  named.forEach(({ mark }, i) => places[i]?.line && drawLine(context, places[i].line, mark.colour));
  named.forEach(({ text, mark, wide }, i) => places[i] && drawLabel(context, text, mark.colour, places[i], wide));
}

/** Name that fits beside a defect, as a run of its own, so that one written from right to left leaves the figure behind it. */
function shortened(name: string): string {
  return `\u2068${name.length > LONGEST_LABEL ? `${name.slice(0, LONGEST_LABEL - 1)}…` : name}\u2069`;
}

/** Box of a mark on the screen, with its line's width. */
function onScreen({ bounds: [x0, y0, x1, y1] }: Mark, { scale, left, top }: View): Box {
  return [x0 * scale + left - 2, y0 * scale + top - 2, x1 * scale + left + 2, y1 * scale + top + 2];
}

function drawLine(context: CanvasRenderingContext2D, [x0, y0, x1, y1]: NonNullable<Place["line"]>, colour: string): void {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  strokeCased(context, colour, 1.5);
}

function drawLabel(context: CanvasRenderingContext2D, text: string, colour: string, { x, y }: Place, wide: number): void {
  context.fillStyle = "rgba(10, 14, 20, 0.85)";
  context.fillRect(x, y, wide, HEIGHT);
  context.fillStyle = colour;
  context.fillRect(x, y, 3, HEIGHT);
  context.fillStyle = "#fff";
  context.fillText(text, x + 8, y + HEIGHT / 2 + 0.5);
}

/** Strokes the path dark below and coloured above, so that it stands out on any picture. */
function strokeCased(context: CanvasRenderingContext2D, colour: string, width: number): void {
  for (const [ink, wide] of [["rgba(0, 0, 0, 0.7)", width + 2], [colour, width]] as const) {
    context.strokeStyle = ink;
    context.lineWidth = wide;
    context.stroke();
  }
}

/** Draws the handles of the selected shape. */
export function drawHandles(context: CanvasRenderingContext2D, shape: Shape, view: View): void {
  for (const [x, y] of handles(shape, 24 / view.scale)) {
    context.beginPath();
    context.arc(x * view.scale + view.left, y * view.scale + view.top, 5, 0, 2 * Math.PI);
    context.fillStyle = "#fff";
    context.fill();
    context.lineWidth = 2;
    context.strokeStyle = "#111";
    context.stroke();
  }
}

/** Draws points that are not a shape yet, with a line to the cursor. */
export function drawUnfinished(
  context: CanvasRenderingContext2D,
  points: readonly Point[],
  cursor: Point | null,
  colour: string,
  view: View,
): void {
  if (points.length === 0) return;
  const all = cursor ? [...points, cursor] : points;
  context.beginPath();
  all.forEach(([x, y], i) => {
    const [sx, sy] = [x * view.scale + view.left, y * view.scale + view.top];
    if (i === 0) context.moveTo(sx, sy);
    else context.lineTo(sx, sy);
  });
  strokeCased(context, colour, 2);
  for (const [x, y] of points) {
    context.beginPath();
    context.arc(x * view.scale + view.left, y * view.scale + view.top, 4, 0, 2 * Math.PI);
    context.fillStyle = colour;
    context.fill();
  }
}

/** Pictures of a mask's tiles in a colour, made again where a tile has changed. */
export class MaskPictures {
  private readonly pictures = new Map<string, { tile: Uint8Array; count: number; canvas: OffscreenCanvas }>();

  /** Draws the tiles on the screen. count: changes of the mask so far; a picture of an older count is made again */
  draw(context: CanvasRenderingContext2D, mask: Mask, colour: string, view: View, count: number): void {
    context.imageSmoothingEnabled = view.scale < 1;
    context.globalAlpha = 0.55;
    for (const [key, tile] of mask.tiles) {
      const [column, row] = key.split(",").map(Number) as [number, number];
      const [x, y] = [column * TILE * view.scale + view.left, row * TILE * view.scale + view.top];
      const side = TILE * view.scale;
      if (x > view.width || y > view.height || x + side < 0 || y + side < 0) continue;
      context.drawImage(this.picture(key, tile, colour, count), x, y, side, side);
    }
    context.globalAlpha = 1;
  }

  private picture(key: string, tile: Uint8Array, colour: string, count: number): OffscreenCanvas {
    const name = `${key} ${colour}`;
    const known = this.pictures.get(name);
    if (known && known.tile === tile && known.count === count) return known.canvas;
    const canvas = known?.canvas ?? new OffscreenCanvas(TILE, TILE);
    const [r, g, b] = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16)) as [number, number, number];
    const pixels = new ImageData(TILE, TILE);
    const words = new Uint32Array(pixels.data.buffer);
    const word = (255 << 24) | (b << 16) | (g << 8) | r;
    for (let i = 0; i < tile.length; i++) if (tile[i]) words[i] = word;
    canvas.getContext("2d")!.putImageData(pixels, 0, 0);
    this.pictures.set(name, { tile, count, canvas });
    return canvas;
  }
}
