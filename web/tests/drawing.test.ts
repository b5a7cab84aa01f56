import { beforeEach, expect, test } from "vitest";
import { area } from "./mask_area";
import { AnnotationDocument } from "../src/viewer/document";
import { Drawing } from "../src/viewer/tools";

const size = { width: 8192, height: 12800 };
const store = new Map<string, string>();
globalThis.localStorage = {
  getItem: (key: string) => store.get(key) ?? null,
  setItem: (key: string, value: string) => void store.set(key, value),
  removeItem: (key: string) => void store.delete(key),
} as Storage;

let page: AnnotationDocument;
let drawing: Drawing;
const reload = () => {
  page = new AnnotationDocument("abc", size, "ann");
  drawing = new Drawing(page);
};
beforeEach(() => {
  store.clear();
  reload();
  page.class_name.value = "scratch";
});
const drag = (from: [number, number], to: [number, number]) => {
  drawing.press(from, { tolerance: 5 });
  drawing.move(to);
  drawing.release(to);
};

test("a dragged box is exact, selected, and undone by one step", () => {
  drawing.choose("box");
  drag([6200.2, 3975.9], [6320.4, 4056.1]);
  expect(page.items.value[0]).toMatchObject({ class_name: "scratch", shape: { kind: "box", box: [6200, 3976, 6320, 4056] } });
  expect(page.current.value).not.toBeNull();
  page.undo();
  expect(page.items.value).toEqual([]);
  page.redo();
  expect(page.items.value).toHaveLength(1);
});

test("a polygon closes on its first point; undo takes points back one by one", () => {
  drawing.choose("polygon");
  for (const at of [[0, 0], [100, 0], [100, 100], [50, 50]] as const) drawing.press([...at], { tolerance: 5 });
  page.undo();
  expect(page.unfinished.value).toHaveLength(3);
  drawing.press([3, 3], { tolerance: 5 });
  expect(page.items.value[0]!.shape).toEqual({ kind: "polygon", rings: [[[0, 0], [100, 0], [100, 100]]] });
  expect(page.unfinished.value).toEqual([]);
});

test("an open polygon waits while another tool is in hand, and Escape drops it", () => {
  drawing.choose("polygon");
  drawing.press([40, 40], { tolerance: 1 });
  drawing.choose("box");
  drag([10, 10], [20, 20]);
  drawing.choose("polygon");
  expect(page.unfinished.value).toEqual([[40, 40]]);
  expect(drawing.drop()).toBe(true);
  expect(page.unfinished.value).toEqual([]);
});

test("a reload in the middle of a polygon brings points and shapes back", () => {
  drawing.choose("box");
  drag([10, 10], [20, 20]);
  drawing.choose("polygon");
  drawing.press([40, 40], { tolerance: 1 });
  drawing.press([90, 40], { tolerance: 1 });
  reload();
  page.load(0, []);
  expect(page.unfinished.value).toEqual([[40, 40], [90, 40]]);
  expect(page.items.value).toHaveLength(1);
  expect(page.restored.value).toBe(true);
  expect(page.dirty.value).toBe(true);
});

test("a mask survives a reload once its draft is written, and is gone after saving", () => {
  drawing.choose("brush");
  drawing.brush.value = 1;
  drag([700.5, 900.5], [700.5, 900.5]);
  page.flush();
  reload();
  page.load(3, []);
  expect(page.items.value[0]!.mask!.bounds()).toEqual([700, 900, 701, 901]);
  expect(page.version).toBe(0); // of what it was drawn on, so that saving meets the conflict
  page.saved(4, page.items.value);
  reload();
  page.load(4, []);
  expect(page.items.value).toEqual([]);
});

test("select takes the smallest shape, moves it, and pulls a corner", () => {
  drawing.choose("box");
  drag([0, 0], [500, 500]);
  drag([100, 100], [200, 200]);
  drawing.choose("select");
  drag([150, 150], [160, 155]);
  expect(page.current.value!.shape).toEqual({ kind: "box", box: [110, 105, 210, 205] });
  drag([210, 205], [300, 300]);
  expect(page.current.value!.shape).toEqual({ kind: "box", box: [110, 105, 300, 300] });
  drag([1000, 1000], [1010, 1010]);
  expect(page.current.value).toBeNull();
  page.undo();
  page.undo();
  expect(page.items.value[1]!.shape).toEqual({ kind: "box", box: [100, 100, 200, 200] });
});

test("an eraser without a mask does nothing; with one it takes pixels away", () => {
  drawing.choose("eraser");
  drag([50, 50], [60, 60]);
  expect(page.items.value).toEqual([]);
  drawing.choose("brush");
  drag([50, 50], [150, 50]);
  const before = area(page.current.value!.mask!);
  drawing.choose("eraser");
  drag([100, 50], [100, 50]);
  expect(area(page.current.value!.mask!)).toBeLessThan(before);
  page.undo();
  expect(area(page.current.value!.mask!)).toBe(before);
});

test("the class of the selection changes, else that of the next shape", () => {
  drawing.choose("box");
  drag([0, 0], [50, 50]);
  page.setClass("dent");
  expect(page.items.value[0]!.class_name).toBe("dent");
  page.selected.value = null;
  page.setClass("stain");
  expect(page.items.value[0]!.class_name).toBe("dent");
});
