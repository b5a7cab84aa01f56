/**
 * What the drawing tools do with a pointer or the keyboard's cursor, in image pixels. No DOM.
 *
 * A press, moves and a release come from the mouse; the Space key is a press, and for a tool that drags, the next
 * Space is its release.
 */
import { signal } from "@preact/signals";
import type { AnnotationDocument, Item } from "./document";
import {
  boxFromCorners,
  clampPoint,
  distanceToOutline,
  handles,
  inPolygon,
  moved,
  nearestPoint,
  outlines,
  polygonArea,
  turnedFromAxis,
  withHandleAt,
  type Point,
  type Shape,
} from "./geometry";
import { Mask } from "./mask";

export const TOOLS = ["pan", "select", "box", "turned", "polygon", "brush", "eraser", "fill"] as const;
export type Tool = (typeof TOOLS)[number];

export class Drawing {
  readonly tool = signal<Tool>("pan");
  readonly brush = signal(24);
  readonly cursor = signal<Point | null>(null);
  /** The shape that a drag would give now; it takes the place of the selection while that is moved. */
  readonly preview = signal<Shape | null>(null);
  /** Points of a turned box's axis, or of an outline to fill, so far. */
  readonly points = signal<readonly Point[]>([]);
  private start: Point | null = null;
  private handle = -1;
  private stroke: { mask: Mask; value: 0 | 1; last: Point } | null = null;

  constructor(readonly document: AnnotationDocument) {}

  /** Whether a press waits for its release. */
  get dragging(): boolean {
    return this.start !== null;
  }

  /** Takes a tool in hand. A polygon that is not closed waits until its tool comes back. */
  choose(tool: Tool): void {
    this.letGo();
    this.tool.value = tool;
  }

  /** tolerance: of a hit, in image pixels; erase: brush and eraser change places */
  press(at: Point, { tolerance, erase = false }: { tolerance: number; erase?: boolean }): void {
    const point = clampPoint(at, this.document.size);
    switch (this.tool.value) {
      case "pan":
        return;
      case "select":
        return this.grab(point, tolerance);
      case "box":
        this.start = point;
        return;
      case "turned":
        return this.pressTurned(point);
      case "polygon":
        return this.addPoint(point, tolerance);
      case "brush":
      case "eraser":
        return this.beginStroke(point, (this.tool.value === "eraser") !== erase ? 0 : 1);
      case "fill":
        this.start = point;
        this.points.value = [point];
    }
  }

  move(at: Point): void {
    const point = clampPoint(at, this.document.size);
    this.cursor.value = point;
    if (this.stroke) {
      this.stroke.mask.stroke(this.stroke.last, point, this.brush.value, this.stroke.value);
      this.stroke.last = point;
      this.document.painted.value++;
      return;
    }
    if (this.tool.value === "turned" && this.points.value.length === 2) {
      this.preview.value = turnedFromAxis(this.points.value[0]!, this.points.value[1]!, point);
      return;
    }
    if (!this.start) return;
    if (this.tool.value === "fill") this.points.value = [...this.points.value, point];
    else this.preview.value = this.dragged(this.start, point);
  }

  release(at: Point): void {
    const point = clampPoint(at, this.document.size);
    if (this.stroke) {
      this.document.stroked(this.stroke.mask);
      this.stroke = null;
      return;
    }
    const start = this.start;
    this.start = null;
    if (!start) return;
    if (this.tool.value === "turned") this.points.value = Math.hypot(point[0] - start[0], point[1] - start[1]) < 1 ? [] : [start, point];
    else if (this.tool.value === "fill") this.fill();
    else this.place(start, point);
  }

  /** Closes a polygon; false where there is none of three points. */
  finish(): boolean {
    const points = this.document.unfinished.value;
    if (points.length < 3 || polygonArea(points) < 0.5) return false;
    this.document.unfinished.value = [];
    this.document.add({ shape: { kind: "polygon", rings: [points] } });
    return true;
  }

  /** Drops what is not finished. Returns whether there was anything. */
  drop(): boolean {
    const any = this.start !== null || this.points.value.length > 0 || this.document.unfinished.value.length > 0;
    this.letGo();
    if (this.document.unfinished.value.length > 0) this.document.setUnfinished([]);
    return any;
  }

  private letGo(): void {
    this.start = null;
    this.preview.value = null;
    this.points.value = [];
  }

  private dragged(start: Point, point: Point): Shape | null {
    const size = this.document.size;
    if (this.tool.value === "box") {
      const box = boxFromCorners(start, point, size);
      return box && { kind: "box", box };
    }
    const shape = this.document.current.value?.shape;
    if (this.tool.value !== "select" || !shape) return null;
    return this.handle >= 0
      ? withHandleAt(shape, this.handle, point, size)
      : moved(shape, point[0] - start[0], point[1] - start[1], size);
  }

  private place(start: Point, point: Point): void {
    this.preview.value = null;
    const shape = this.dragged(start, point);
    if (!shape) return;
    if (this.tool.value === "box") this.document.add({ shape });
    else if (Math.hypot(point[0] - start[0], point[1] - start[1]) > 0) {
      this.document.replace(this.document.selected.value!, { shape });
    }
  }

  private pressTurned(point: Point): void {
    const [a, b] = this.points.value;
    if (a && b) {
      const shape = turnedFromAxis(a, b, point);
      this.points.value = [];
      this.preview.value = null;
      if (shape) this.document.add({ shape });
    } else {
      this.start = point;
      this.points.value = [point];
    }
  }

  private addPoint(point: Point, tolerance: number): void {
    const points = this.document.unfinished.value;
    const first = points[0];
    const closes = points.length >= 3 && first && Math.hypot(point[0] - first[0], point[1] - first[1]) <= tolerance;
    if (closes) this.finish();
    else this.document.setUnfinished([...points, point]);
  }

  /** Takes hold of a handle of the selection, else of the smallest item below the point. */
  private grab(point: Point, tolerance: number): void {
    const shape = this.document.current.value?.shape;
    this.handle = shape ? nearestPoint(handles(shape, 2.4 * tolerance), point, tolerance) : -1;
    if (this.handle < 0) this.document.selected.value = itemAt(this.document.items.value, point, tolerance)?.key ?? null;
    this.start = this.document.current.value?.shape ? point : null;
  }

  private beginStroke(point: Point, value: 0 | 1): void {
    let mask = this.document.current.value?.mask;
    if (!mask && value === 0) return;
    mask ??= this.document.add({ mask: new Mask(this.document.size) }).mask!;
    mask.begin();
    mask.dab(point, this.brush.value, value);
    this.stroke = { mask, value, last: point };
    this.document.painted.value++;
  }

  private fill(): void {
    const points = this.points.value;
    this.points.value = [];
    if (points.length < 3) return;
    const mask = this.document.current.value?.mask ?? this.document.add({ mask: new Mask(this.document.size) }).mask!;
    mask.begin();
    mask.fill(points, 1);
    this.document.stroked(mask);
  }
}

/** The smallest item below a point, or whose outline is within the tolerance. */
function itemAt(items: readonly Item[], point: Point, tolerance: number): Item | null {
  let [best, least] = [null as Item | null, Infinity];
  for (const item of items) {
    if (item.mask) {
      if (item.mask.at(Math.floor(point[0]), Math.floor(point[1])) && least === Infinity) best = item;
      continue;
    }
    const rings = outlines(item.shape!);
    const hit = rings.some((ring) => inPolygon(point, ring) || distanceToOutline(point, ring) <= tolerance);
    const area = rings.reduce((sum, ring) => sum + polygonArea(ring), 0);
    if (hit && area < least) [best, least] = [item, area];
  }
  return best;
}
