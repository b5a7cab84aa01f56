/** The picture of a part: deep zoom, the machine's outlines, and the layer that is drawn on. */
import { useEffect, useRef } from "preact/hooks";
import type { ImageInFull } from "../api/types";
import { api } from "../api";
import { colourOf, theme } from "../state";
import { T } from "../texts";
import { typing } from "../shell";
import { kindOf } from "../viewer/document";
import type { Point } from "../viewer/geometry";
import { MaskPictures, clear, drawHandles, drawLabels, drawMarks, drawUnfinished, markOf, type Mark, type View } from "../viewer/layer";
import type { Drawing, Tool } from "../viewer/tools";
import { Viewer, type Place } from "../viewer/viewer";
import { effect, useSignal } from "@preact/signals";

/** A window of 16-bit values that is shown, from black to white. */
export type Window = { lo: number; hi: number };

type Props = {
  image: ImageInFull;
  marks: readonly Mark[];
  drawing: Drawing | null;
  window: Window | null;
  at: Place | null;
  onReady: (viewer: Viewer | null) => void;
};

const TOOL_KEYS: Record<string, Tool> = { v: "pan", s: "select", b: "box", t: "turned", p: "polygon", d: "brush", e: "eraser", i: "fill" };
const HIT = 10; // screen pixels within which a point is hit

export function Picture({ image, marks, drawing, window, at, onReady }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const viewer = useRef<Viewer | null>(null);
  const shown = useRef({ marks, drawing });
  shown.current = { marks, drawing };
  const tiles = useSignal<"none" | "some" | "failed">("none");

  useEffect(() => {
    const masks = new MaskPictures();
    const made = new Viewer(place.current!, (context, view) => paint(context, view, image, shown.current.marks, shown.current.drawing, masks), (came) => {
      if (came) tiles.value = "some";
      else if (tiles.value === "none") tiles.value = "failed";
    });
    viewer.current = made;
    made.open(pictureOf(image, window), { at }).then(() => onReady(made), () => (tiles.value = "failed"));
    return () => {
      onReady(null);
      viewer.current = null;
      made.destroy();
    };
  }, [image.sha256]);

  const first = useRef(true);
  useEffect(() => {
    if (first.current) first.current = false;
    else void viewer.current?.open(pictureOf(image, window), { keep: true });
  }, [window?.lo, window?.hi]);

  useEffect(() => viewer.current?.repaint(), [marks, theme.value]);

  useEffect(() => {
    if (!drawing) return;
    const { document: page } = drawing;
    return effect(() => {
      // Whatever is read here repaints the layer when it changes.
      void [page.items.value, page.selected.value, page.unfinished.value, page.painted.value, page.class_name.value];
      void [drawing.preview.value, drawing.points.value, drawing.cursor.value, drawing.tool.value];
      viewer.current?.repaint();
    });
  }, [drawing]);

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (!viewer.current || typing(event) || event.defaultPrevented) return;
      if (pressKey(event, viewer.current, drawing)) event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [drawing]);

  const active = drawing !== null && drawing.tool.value !== "pan";
  return (
    <div class="picture">
      <div ref={place} class="stage" />
      <div
        class={`touch ${active ? "active" : ""}`}
        data-tool={drawing?.tool.value}
        {...(active ? pointer(viewer, drawing) : {})}
      />
      {tiles.value === "none" && <p class="loading over" role="status">{T.loading}</p>}
      {tiles.value === "failed" && <p class="notice bad over" role="alert">{T.part.noTiles}</p>}
    </div>
  );
}

function pictureOf(image: ImageInFull, window: Window | null) {
  const last = image.levels - 1;
  return {
    width: image.width!,
    height: image.height!,
    tile_size: image.tile_size,
    max_level: last,
    // At 1:1 the pixels are exact: cut from the original, not from the pyramid's JPEG.
    tileUrl: (level: number, x: number, y: number) =>
      api.tile(image.sha256, level, x, y, level === last ? { exact: 1, ...window } : { ...window }),
  };
}

function paint(
  context: CanvasRenderingContext2D,
  view: View,
  image: ImageInFull,
  marks: readonly Mark[],
  drawing: Drawing | null,
  masks: MaskPictures,
): void {
  clear(context, view);
  drawMarks(context, marks, view);
  if (!drawing) return drawLabels(context, marks, view);
  const { document: page, preview, points, cursor, tool, brush } = drawing;
  const selected = page.selected.value;
  const size = { width: image.width!, height: image.height! };
  const own: Mark[] = [];
  for (const item of page.items.value) {
    const colour = colourOf(item.class_name);
    const chosen = item.key === selected;
    if (item.mask) {
      masks.draw(context, item.mask, colour, view, page.painted.value);
      const bounds = chosen ? item.mask.bounds() : null;
      if (bounds) own.push({ ...markOf({ kind: "box", box: bounds }, size, colour, item.class_name, true), dashed: true });
      continue;
    }
    const shape = chosen && tool.value === "select" && preview.value ? preview.value : item.shape!;
    own.push(markOf(shape, size, colour, chosen ? `${item.class_name} · ${T.draw.kinds[kindOf(item)]}` : item.class_name, chosen));
  }
  drawMarks(context, own, view);
  drawLabels(context, [...own, ...marks], view);
  const current = page.current.value;
  const shape = tool.value === "select" ? (preview.value ?? current?.shape) : null;
  if (shape) drawHandles(context, shape, view);
  const colour = colourOf(page.class_name.value);
  if (preview.value && tool.value !== "select") drawMarks(context, [markOf(preview.value, size, colour, "", true)], view);
  drawUnfinished(context, page.unfinished.value, tool.value === "polygon" ? cursor.value : null, colour, view);
  drawUnfinished(context, points.value, cursor.value, colour, view);
  if (cursor.value && tool.value !== "pan" && tool.value !== "select") drawCursor(context, cursor.value, view, tool.value, brush.value);
}

/** Draws where the next point comes to be: a brush's disc, else a cross. */
function drawCursor(context: CanvasRenderingContext2D, [x, y]: readonly [number, number], view: View, tool: Tool, brush: number): void {
  const [sx, sy] = [x * view.scale + view.left, y * view.scale + view.top];
  context.beginPath();
  if (tool === "brush" || tool === "eraser") context.arc(sx, sy, Math.max((brush * view.scale) / 2, 2), 0, 2 * Math.PI);
  else {
    context.moveTo(sx - 12, sy);
    context.lineTo(sx + 12, sy);
    context.moveTo(sx, sy - 12);
    context.lineTo(sx, sy + 12);
  }
  for (const [ink, wide] of [["#000", 3], ["#fff", 1]] as const) {
    context.strokeStyle = ink;
    context.lineWidth = wide;
    context.stroke();
  }
}

/** What the pointer does on the layer: draws; the wheel zooms; the middle button moves the picture. */
function pointer(viewer: { current: Viewer | null }, drawing: Drawing) {
  const tolerance = () => HIT / viewer.current!.view.scale;
  return {
    onPointerDown: (event: PointerEvent) => {
      if (!viewer.current) return;
      (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
      if (event.button === 0) drawing.press(viewer.current.toImage(event.clientX, event.clientY), { tolerance: tolerance(), erase: event.altKey });
    },
    onPointerMove: (event: PointerEvent) => {
      if (!viewer.current) return;
      if (event.buttons === 4) viewer.current.panBy(event.movementX, event.movementY);
      else drawing.move(viewer.current.toImage(event.clientX, event.clientY));
    },
    onPointerUp: (event: PointerEvent) => {
      if (viewer.current && event.button === 0) drawing.release(viewer.current.toImage(event.clientX, event.clientY));
    },
    onPointerLeave: () => {
      if (!drawing.dragging) drawing.cursor.value = null;
    },
    onWheel: (event: WheelEvent) => {
      event.preventDefault();
      viewer.current?.zoomBy(Math.exp(-event.deltaY * 0.0018), event.clientX, event.clientY);
    },
    onDblClick: () => drawing.finish(),
  };
}

const ARROWS: Record<string, readonly [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Keys of the picture and of drawing. Returns whether the key was one of them. */
function pressKey(event: KeyboardEvent, viewer: Viewer, drawing: Drawing | null): boolean {
  const page = drawing?.document;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    if (page && key === "z") event.shiftKey ? page.redo() : page.undo();
    else if (page && key === "y") page.redo();
    else return false;
    return true;
  }
  const arrow = ARROWS[event.key];
  if (arrow && (event.shiftKey || (drawing && drawing.tool.value !== "pan"))) return pressArrow(arrow, event.shiftKey, viewer, drawing);
  if (key === "+" || key === "=") viewer.zoomBy(1.4);
  else if (key === "-") viewer.zoomBy(1 / 1.4);
  else if (key === "f") viewer.fit();
  else if (key === "x") viewer.goTo({ x: viewer.center[0], y: viewer.center[1], zoom: 1 });
  else if (!drawing || !page) return false;
  else if (TOOL_KEYS[key]) drawing.choose(TOOL_KEYS[key]);
  else if (key === "," || key === ".") drawing.brush.value = nextBrush(drawing.brush.value, key === "." ? 1 : -1);
  else if (key === "Enter" && page.unfinished.value.length > 0) drawing.finish();
  else if (key === "Escape") drawing.drop() || (page.selected.value = null);
  else if (key === "Backspace" && page.unfinished.value.length > 0) page.undo();
  else if ((key === "Delete" || key === "Backspace") && page.selected.value) page.remove(page.selected.value);
  else if (key === " " && drawing.tool.value !== "pan") pressSpace(viewer, drawing);
  else return false;
  return true;
}

const rounded = ([x, y]: Point): Point => [Math.round(x), Math.round(y)];

function pressArrow([dx, dy]: readonly [number, number], fast: boolean, viewer: Viewer, drawing: Drawing | null): boolean {
  if (drawing && drawing.tool.value !== "pan") {
    const [x, y] = drawing.cursor.value ?? rounded(viewer.center);
    const step = fast ? 10 : 1;
    drawing.move([x + dx * step, y + dy * step]);
  } else viewer.panBy(-dx * 120, -dy * 120);
  return true;
}

/** The Space key sets a point at the cursor; for a tool that drags it begins, then ends. */
function pressSpace(viewer: Viewer, drawing: Drawing): void {
  const at = drawing.cursor.value ?? rounded(viewer.center);
  drawing.cursor.value = at;
  if (drawing.dragging) drawing.release(at);
  else {
    const pixel: Point = ["brush", "eraser"].includes(drawing.tool.value) ? [at[0] + 0.5, at[1] + 0.5] : at;
    drawing.press(pixel, { tolerance: HIT / viewer.view.scale });
    if (drawing.tool.value === "brush" || drawing.tool.value === "eraser") drawing.release(pixel);
  }
}

const BRUSHES = [1, 2, 3, 5, 8, 12, 18, 24, 36, 54, 80, 120, 180, 260];

/** The next smaller or larger brush. */
function nextBrush(now: number, step: 1 | -1): number {
  const next = step > 0 ? BRUSHES.find((size) => size > now) : BRUSHES.findLast((size) => size < now);
  return next ?? now;
}
