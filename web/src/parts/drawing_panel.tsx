/** Tools, classes and the list of annotations beside the picture, and the dialog of a conflict. */
import { useEffect } from "preact/hooks";
import { examples, isExample, toggleExample } from "../examples";
import { href } from "../router";
import { activeClasses, colourOf, may } from "../state";
import { T } from "../texts";
import { kindOf, type Item } from "../viewer/document";
import { boundsOf, outlines } from "../viewer/geometry";
import { TOOLS, type Tool } from "../viewer/tools";
import type { Viewer } from "../viewer/viewer";
import { itemOf } from "../api/annotations";
import { typing } from "../shell";
import type { Annotating } from "./annotating";
import { Dialog } from "./basics";

const SIGNS: Record<Tool, string> = { pan: "✥", select: "⇱", box: "▭", turned: "◇", polygon: "⬠", brush: "●", eraser: "○", fill: "◍" };
const KEYS: Record<Tool, string> = { pan: "V", select: "S", box: "B", turned: "T", polygon: "P", brush: "D", eraser: "E", fill: "I" };
const SHOWN = 200;

export function DrawingPanel({ annotating, viewer }: { annotating: Annotating; viewer: Viewer | null }) {
  const { drawing, saving } = annotating;
  const { document: page, tool, brush } = drawing;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key === "s") {
        event.preventDefault();
        void annotating.save();
      }
      const number = Number(event.key);
      const chosen = number >= 1 ? activeClasses.value[number - 1] : undefined;
      if (chosen && !typing(event) && !event.ctrlKey && !event.altKey) page.setClass(chosen.name);
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [annotating]);
  const hint = { polygon: T.draw.polygonHint, turned: T.draw.turnedHint, brush: T.draw.maskHint }[tool.value as string];
  return (
    <>
      <div class="tools" role="toolbar" aria-label={T.draw.tools}>
        {TOOLS.map((each) => {
          const name = T.draw[each];
          return (
            <button key={each} title={`${name} (${KEYS[each]})`} aria-label={name} aria-pressed={tool.value === each} onClick={() => drawing.choose(each)}>
              {SIGNS[each]}
            </button>
          );
        })}
        <button title={`${T.draw.undo} (Ctrl+Z)`} aria-label={T.draw.undo} disabled={page.undos.value.length === 0 && page.unfinished.value.length === 0} onClick={() => page.undo()}>↶</button>
        <button title={`${T.draw.redo} (Ctrl+Y)`} aria-label={T.draw.redo} disabled={page.redos.value.length === 0} onClick={() => page.redo()}>↷</button>
      </div>
      {(tool.value === "brush" || tool.value === "eraser") && (
        <label class="range">
          <span>{T.draw.brushSize}</span>
          <input type="range" min={1} max={260} value={brush.value} onInput={(event) => (brush.value = Number(event.currentTarget.value))} />
          <output>{brush.value}</output>
        </label>
      )}
      <Cursor annotating={annotating} />
      {hint && <p class="faint">{hint}</p>}
      <Classes annotating={annotating} />
      <h3>{T.draw.list} <span class="count">{page.items.value.length}</span></h3>
      {page.items.value.length === 0 && <p class="faint">{T.draw.empty}</p>}
      <ul class="items">
        {page.items.value.slice(0, SHOWN).map((item) => (
          <Row key={item.key} item={item} annotating={annotating} viewer={viewer} />
        ))}
      </ul>
      {page.items.value.length > SHOWN && <p class="faint">{T.part.moreDefects(page.items.value.length - SHOWN)}</p>}
      <div class="actions">
        <button class={page.dirty.value ? "primary" : ""} disabled={saving.value} onClick={() => annotating.save()} title="Ctrl+S">
          {saving.value ? T.draw.saving : T.draw.save}
        </button>
        {page.dirty.value && (
          <button onClick={() => confirm(T.draw.discardAsk) && annotating.discard()}>{T.draw.discard}</button>
        )}
      </div>
      {examples.value.length > 0 && may("engineer") && <p><a href={href("/jobs", { new: "add_class" })}>★ {T.draw.examples(examples.value.length)}</a></p>}
      {page.dirty.value && <p class="unsaved">● {T.draw.unsaved}</p>}
      {annotating.conflict.value && <Conflict annotating={annotating} />}
    </>
  );
}

/** Where the cursor is; by itself, as it changes with every move. */
function Cursor({ annotating: { drawing } }: { annotating: Annotating }) {
  const cursor = drawing.cursor.value;
  if (!cursor || drawing.tool.value === "pan") return null;
  return <p class="faint numbers">{T.draw.crosshair(Math.floor(cursor[0]), Math.floor(cursor[1]))}</p>;
}

function Classes({ annotating }: { annotating: Annotating }) {
  const { document: page } = annotating.drawing;
  if (activeClasses.value.length === 0) return <p class="faint">{T.draw.noClass}</p>;
  const chosen = page.current.value?.class_name ?? page.class_name.value;
  return (
    <div class="classes" role="radiogroup" aria-label={T.draw.class}>
      {activeClasses.value.map(({ name, colour, definition }, i) => (
        <button key={name} role="radio" aria-checked={chosen === name} title={definition || name} onClick={() => page.setClass(name)}>
          <span class="dot" style={{ background: colour }} />
          <span class="name">{name}</span>
          {i < 9 && <kbd>{i + 1}</kbd>}
        </button>
      ))}
    </div>
  );
}

function Row({ item, annotating, viewer }: { item: Item; annotating: Annotating; viewer: Viewer | null }) {
  const { document: page } = annotating.drawing;
  const show = () => {
    page.selected.value = item.key;
    const box = item.mask ? item.mask.bounds() : item.shape!.kind === "whole_image" ? null : boundsOf(outlines(item.shape!).flat());
    if (box) viewer?.show(box);
  };
  return (
    <li>
      <button class="quiet row" aria-pressed={page.selected.value === item.key} onClick={show}>
        <span class="dot" style={{ background: colourOf(item.class_name) }} />
        <span class="name" title={item.class_name}>{item.class_name}</span>
        <span class="faint">{T.draw.kinds[kindOf(item)]}</span>
      </button>
      {item.id !== null && kindOf(item) === "box" && may("engineer") && (
        <button class="quiet" title={T.draw.example} aria-label={T.draw.example} aria-pressed={isExample(item.id)} onClick={() => toggleExample({ annotation: item.id!, class_name: item.class_name, image: page.image })}>
          {isExample(item.id) ? "★" : "☆"}
        </button>
      )}
      <button class="quiet" title={`${T.draw.remove} (Delete)`} aria-label={`${T.draw.remove} ${item.class_name}`} onClick={() => page.remove(item.key)}>✕</button>
    </li>
  );
}

/** Both states side by side. Nothing is dropped unless it is chosen so. */
function Conflict({ annotating }: { annotating: Annotating }) {
  const theirs = annotating.conflict.value!;
  const { document: page } = annotating.drawing;
  const column = (title: string, items: readonly Item[]) => (
    <section>
      <h3>{title}</h3>
      <p class="faint">{T.conflict.count(items.length)}</p>
      <ul class="items">
        {items.slice(0, 12).map((item) => (
          <li key={item.key}>
            <span class="dot" style={{ background: colourOf(item.class_name) }} />
            <span class="name">{item.class_name}</span>
            <span class="faint">{describe(item)}</span>
          </li>
        ))}
      </ul>
      {items.length > 12 && <p class="faint">{T.part.moreDefects(items.length - 12)}</p>}
    </section>
  );
  return (
    <Dialog title={T.conflict.title} wide onClose={() => (annotating.conflict.value = null)}>
      <p>{T.conflict.text(theirs.by, theirs.version)}</p>
      <div class="two">
        {column(T.conflict.theirs, theirs.items.map((each) => itemOf(each, page.size)))}
        {column(T.conflict.mine, page.items.value)}
      </div>
      <div class="actions">
        <button class="primary" onClick={() => annotating.settle("both")}>{T.conflict.takeBoth}</button>
        <button onClick={() => annotating.settle("mine")}>{T.conflict.takeMine}</button>
        <button onClick={() => annotating.settle("theirs")}>{T.conflict.takeTheirs}</button>
      </div>
    </Dialog>
  );
}

function describe(item: Item): string {
  const kind = kindOf(item);
  const box = item.shape?.kind === "box" ? item.shape.box : item.mask?.bounds();
  return box ? `${T.draw.kinds[kind]} ${box.map(Math.round).join(", ")}` : T.draw.kinds[kind];
}
