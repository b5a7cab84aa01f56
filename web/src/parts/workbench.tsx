/** A part with its picture and what is known of it: for looking, for reviewing and for drawing. */
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useMemo, useState } from "preact/hooks";
import { api } from "../api";
import { shapeOf } from "../api/annotations";
import type { Defect, ImageInFull, ImageSummary } from "../api/types";
import { query } from "../router";
import { colourOf, may } from "../state";
import { T } from "../texts";
import { typing } from "../shell";
import { boundsOf } from "../viewer/geometry";
import { newKey } from "../viewer/document";
import type { Mark } from "../viewer/layer";
import type { Place, Viewer } from "../viewer/viewer";
import { useAnnotating, type Annotating } from "./annotating";
import { Empty, Loaded, useLoad } from "./basics";
import { DrawingPanel } from "./drawing_panel";
import { Picture, type Window } from "./picture";

const SHOWN = 60;

type Props = {
  image: ImageSummary | null;
  defects: readonly Defect[];
  /** Stands above the tools: verdict, buttons. */
  head: (annotating: Annotating | null) => ComponentChildren;
  /** Stands below the tools: history, record. */
  foot?: ComponentChildren;
  onSaved?: () => void;
};

export function Workbench(props: Props) {
  if (!props.image?.kept || !props.image.width) {
    return (
      <div class="bench">
        <Empty title={T.part.gone}>{T.part.goneHelp}</Empty>
        <aside>{props.head(null)}{props.foot}</aside>
      </div>
    );
  }
  return <WithImage {...props} summary={props.image} key={props.image.sha256} />;
}

function WithImage({ summary, ...props }: Props & { summary: ImageSummary }) {
  const load = useLoad(() => api.image(summary.sha256), [summary.sha256]);
  return <Loaded load={load}>{(image) => <Bench {...props} full={image} />}</Loaded>;
}

function Bench({ full, defects, head, foot, onSaved }: Props & { full: ImageInFull }) {
  const [viewer, setViewer] = useState<Viewer | null>(null);
  const [shown, setShown] = useState(true);
  const [range, setRange] = useState<Window | null>(null);
  const annotating = useAnnotating(full, may("operator"), () => onSaved?.());
  const marks = useMemo(() => (shown ? defects.map(markOfDefect) : []), [defects, shown]);
  const at = useMemo(placeOfAddress, []);
  const [chosen, setChosen] = useState(-1);

  const choose = (index: number) => {
    const defect = defects[index];
    if (!defect) return;
    setChosen(index);
    viewer?.show(defect.box_xyxy);
  };
  useLayoutEffect(() => { // before the next key, which goes on from the defect that is chosen
    const onKey = (event: KeyboardEvent) => {
      if (typing(event) || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "h" || event.key === "H") setShown((before) => !before);
      else if (event.key === "]") choose((chosen + 1) % Math.max(defects.length, 1));
      else if (event.key === "[") choose((chosen - 1 + defects.length) % Math.max(defects.length, 1));
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });

  const takeOver = () => {
    const page = annotating!.drawing.document;
    const items = defects.map((each) => ({ key: newKey(), id: null, class_name: each.label, shape: shapeOf(each), mask: null, source: "machine" as const }));
    page.change([...page.items.value, ...items]);
  };
  return (
    <div class="bench">
      <div class="view">
        <Picture image={full} marks={marks} drawing={annotating?.drawing ?? null} window={range} at={at} onReady={setViewer} />
        <div class="viewbar">
          <button title={`${T.part.fit}`} onClick={() => viewer?.fit()}>{T.part.fit}</button>
          <button onClick={() => viewer && viewer.goTo({ x: viewer.center[0], y: viewer.center[1], zoom: 1 })}>{T.part.oneToOne}</button>
          <button aria-pressed={shown} onClick={() => setShown(!shown)}>{T.part.overview}</button>
          {full.dtype === "uint16" && <WindowControl range={range} onChange={setRange} />}
          <span class="space" />
          <span class="faint">{T.part.shown(full.width!, full.height!)}</span>
        </div>
      </div>
      <aside>
        {head(annotating)}
        <h3>{T.part.found} <span class="count">{defects.length}</span></h3>
        {defects.length === 0 && <p class="faint">{T.part.noDefects}</p>}
        <ul class="items">
          {defects.slice(0, SHOWN).map((defect, i) => (
            <li key={i}>
              <button class="quiet row" aria-pressed={chosen === i} onClick={() => choose(i)}>
                <span class="dot" style={{ background: colourOf(defect.label) }} />
                <span class="name" title={defect.label}>{defect.label}</span>
                <span class="faint numbers">{sizeOf(defect)}</span>
                <span class="numbers">{defect.confidence.toFixed(2)}</span>
              </button>
            </li>
          ))}
        </ul>
        {defects.length > SHOWN && <p class="faint">{T.part.moreDefects(defects.length - SHOWN)}</p>}
        {annotating && defects.length > 0 && <button onClick={takeOver}>{T.draw.takeOver}</button>}
        {annotating && <DrawingPanel annotating={annotating} viewer={viewer} />}
        {foot}
      </aside>
    </div>
  );
}

/** Place that the address asks for: ?x=…&y=…&zoom=…, so that a spot can be shared. */
function placeOfAddress(): Place | null {
  const { x, y, zoom } = query.value;
  return x && y ? { x: Number(x), y: Number(y), zoom: Number(zoom ?? 1) } : null;
}

export function markOfDefect(defect: Defect): Mark {
  const [x0, y0, x1, y1] = defect.box_xyxy;
  const parts = defect.contour.filter((part) => part.length > 2);
  const box = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]] as const;
  return {
    parts: parts.length > 0 ? parts : [box],
    bounds: parts.length > 0 ? boundsOf(parts.flat()) : defect.box_xyxy,
    colour: colourOf(defect.label),
    label: defect.label,
    figure: defect.confidence.toFixed(2),
    dashed: true,
  };
}

/** Length by width in mm where the scale is known, else the box in pixels. */
function sizeOf({ mm, box_xyxy: [x0, y0, x1, y1] }: Defect): string {
  if (mm) return `${mm.length.toPrecision(3)} × ${mm.width.toPrecision(3)} mm`;
  return `${Math.round(x1 - x0)} × ${Math.round(y1 - y0)} px`;
}

const WHOLE: Window = { lo: 0, hi: 65535 };

/** Two sliders of the window. A key's step counts from what they show, so that keys in quick succession all count. */
function WindowControl({ range, onChange }: { range: Window | null; onChange: (range: Window | null) => void }) {
  const [draft, setDraft] = useState(range ?? WHOLE);
  const field = (key: "lo" | "hi", label: string) => (
    <label class="range">
      <span>{label}</span>
      <input
        type="range" min={0} max={65535} step={64} value={draft[key]}
        onInput={(event) => setDraft({ ...draft, [key]: Number(event.currentTarget.value) })}
        onChange={(event) => {
          const next = { ...draft, [key]: Number(event.currentTarget.value) };
          if (next.lo < next.hi) onChange(next);
          else setDraft({ ...(range ?? WHOLE) });
        }}
      />
      <output>{draft[key]}</output>
    </label>
  );
  return (
    <span class="window" role="group" aria-label={T.part.window}>
      {field("lo", T.part.windowLow)}
      {field("hi", T.part.windowHigh)}
      <button disabled={!range} onClick={() => { setDraft(WHOLE); onChange(null); }}>{T.part.windowReset}</button>
    </span>
  );
}
