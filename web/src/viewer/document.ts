/** Annotations of one image while they are drawn: selection, undo, and a draft that survives a reload. */
import { computed, signal } from "@preact/signals";
import type { Point, Shape, Size } from "./geometry";
import { Mask, type TileRuns, type TileUndo } from "./mask";

/** An annotation as it is drawn. id: of its stored row; null for a new one. Either shape or mask is set. */
export type Item = {
  readonly key: string;
  readonly id: number | null;
  readonly class_name: string;
  readonly shape: Shape | null;
  readonly mask: Mask | null;
  readonly source: "person" | "machine" | "import";
};

/** An item as JSON, in a draft. */
type StoredItem = Omit<Item, "mask"> & { readonly runs: TileRuns[] | null };

/** What a reload brings back. version: of the stored annotations that it was drawn on */
type Draft = { version: number; items: StoredItem[]; unfinished: Point[]; class_name: string };

type Undo = { items: readonly Item[] } | { mask: Mask; tiles: TileUndo };

export const kindOf = (item: Item) => (item.mask ? "mask" : item.shape!.kind);

let made = 0;
export const newKey = () => `new-${Date.now().toString(36)}-${made++}`;

export class AnnotationDocument {
  readonly items = signal<readonly Item[]>([]);
  readonly selected = signal<string | null>(null);
  /** Points of a polygon that is not closed yet. */
  readonly unfinished = signal<readonly Point[]>([]);
  readonly class_name = signal("");
  /** Counts changes of mask pixels, which no signal holds. */
  readonly painted = signal(0);
  readonly dirty = signal(false);
  /** Whether a draft was brought back. */
  readonly restored = signal(false);
  readonly undos = signal<readonly Undo[]>([]);
  readonly redos = signal<readonly Undo[]>([]);
  readonly current = computed(() => this.items.value.find((item) => item.key === this.selected.value) ?? null);
  version = 0;
  private timer = 0;

  constructor(
    readonly image: string,
    readonly size: Size,
    private readonly user: string,
  ) {}

  private get place() {
    return `blemish.draft.${this.user}.${this.image}`;
  }

  /** Takes the stored annotations; a draft that was drawn on them, or on older ones, comes back over them. */
  load(version: number, items: readonly Item[]): void {
    this.version = version;
    this.items.value = items;
    this.undos.value = [];
    this.redos.value = [];
    this.dirty.value = false;
    const draft = this.readDraft();
    if (!draft) return;
    // The older version is kept: saving then meets the conflict and shows both states.
    this.version = draft.version;
    this.items.value = draft.items.map((item) => fromStored(item, this.size));
    this.unfinished.value = draft.unfinished;
    this.class_name.value = draft.class_name || this.class_name.value;
    this.dirty.value = true;
    this.restored.value = true;
  }

  /** Says that a version was stored, as these items. */
  saved(version: number, items: readonly Item[]): void {
    this.version = version;
    this.items.value = items;
    this.undos.value = [];
    this.redos.value = [];
    this.dirty.value = this.unfinished.value.length > 0;
    this.restored.value = false;
    if (!this.current.value) this.selected.value = null;
    if (this.dirty.value) this.keepDraft();
    else this.dropDraft();
  }

  /** Replaces the items; the step can be undone. */
  change(items: readonly Item[]): void {
    this.remember({ items: this.items.value });
    this.items.value = items;
    this.touched();
  }

  add(part: { shape?: Shape; mask?: Mask; class_name?: string; source?: Item["source"] }): Item {
    const item: Item = {
      key: newKey(),
      id: null,
      class_name: part.class_name ?? this.class_name.value,
      shape: part.shape ?? null,
      mask: part.mask ?? null,
      source: part.source ?? "person",
    };
    this.change([...this.items.value, item]);
    this.selected.value = item.key;
    return item;
  }

  replace(key: string, part: Partial<Item>): void {
    this.change(this.items.value.map((item) => (item.key === key ? { ...item, ...part } : item)));
  }

  remove(key: string): void {
    this.change(this.items.value.filter((item) => item.key !== key));
    if (this.selected.value === key) this.selected.value = null;
  }

  /** Ends a stroke on a mask; the step can be undone tile by tile. */
  stroked(mask: Mask): void {
    const tiles = mask.end();
    if (!tiles) return;
    this.remember({ mask, tiles });
    this.painted.value++;
    this.touched();
  }

  undo(): void {
    if (this.unfinished.value.length > 0) {
      this.setUnfinished(this.unfinished.value.slice(0, -1));
      return;
    }
    this.step(this.undos, this.redos);
  }

  redo(): void {
    this.step(this.redos, this.undos);
  }

  setUnfinished(points: readonly Point[]): void {
    this.unfinished.value = points;
    this.touched();
  }

  /** Chooses the class of the selection, or of the next shape. */
  setClass(name: string): void {
    this.class_name.value = name;
    const item = this.current.value;
    if (item && item.class_name !== name) this.replace(item.key, { class_name: name });
  }

  discardDraft(): void {
    this.unfinished.value = [];
    this.restored.value = false;
    this.dropDraft();
  }

  /** Writes the draft now, as when the page is left. */
  flush(): void {
    if (this.timer) this.keepDraft();
  }

  private step(from: typeof this.undos, to: typeof this.undos): void {
    const last = from.value.at(-1);
    if (!last) return;
    from.value = from.value.slice(0, -1);
    if ("items" in last) {
      to.value = [...to.value, { items: this.items.value }];
      this.items.value = last.items;
    } else {
      to.value = [...to.value, { mask: last.mask, tiles: last.mask.restore(last.tiles) }];
      this.painted.value++;
    }
    this.touched();
  }

  private remember(undo: Undo): void {
    this.undos.value = [...this.undos.value.slice(-199), undo];
    this.redos.value = [];
  }

  private touched(): void {
    this.dirty.value = true;
    // A polygon's points are kept at once; a mask of many tiles takes a moment, so strokes are gathered.
    if (this.items.value.some((item) => item.mask)) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.keepDraft(), 400) as unknown as number;
    } else this.keepDraft();
  }

  private keepDraft(): void {
    clearTimeout(this.timer);
    this.timer = 0;
    const draft: Draft = {
      version: this.version,
      items: this.items.value.map(({ mask, ...item }) => ({ ...item, runs: mask ? mask.runs() : null })),
      unfinished: [...this.unfinished.value],
      class_name: this.class_name.value,
    };
    try {
      localStorage.setItem(this.place, JSON.stringify(draft));
    } catch {
      // The browser's store is full: the work stays on the screen, and saving it is what helps.
    }
  }

  private dropDraft(): void {
    clearTimeout(this.timer);
    this.timer = 0;
    localStorage.removeItem(this.place);
  }

  private readDraft(): Draft | null {
    try {
      return JSON.parse(localStorage.getItem(this.place) ?? "null") as Draft | null;
    } catch {
      return null;
    }
  }
}

function fromStored({ runs, ...item }: StoredItem, size: Size): Item {
  return { ...item, mask: runs ? Mask.fromRuns(size, runs) : null };
}
