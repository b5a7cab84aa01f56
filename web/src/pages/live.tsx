/** The line at work, to be read from two metres: the newest verdict, its picture, what went before. */
import { useEffect, useMemo, useRef } from "preact/hooks";
import { effect } from "@preact/signals";
import { api } from "../api";
import type { Line, LivePart } from "../api/types";
import { LiveConnection } from "../live/connection";
import { ScoreChart } from "../live/score_chart";
import { Empty, Loaded, VerdictBadge, messageOf, score, useLoad } from "../parts/basics";
import { markOfDefect } from "../parts/workbench";
import { go, href, query } from "../router";
import { may, say } from "../state";
import { T, VERDICTS } from "../texts";
import { clear, drawLabels, drawMarks, type Mark, type View } from "../viewer/layer";

const SHOWN = 14;

export function LivePage() {
  const lines = useLoad(api.lines, [], 2000);
  return (
    <Loaded load={lines}>
      {({ items }) => {
        const line = items.find((each) => String(each.id) === query.value.line) ?? items[0];
        if (!line) return <Empty title={T.live.noLines}>{may("admin") ? <a class="button" href={href("/lines")}>{T.lines.add}</a> : T.live.noLinesHelp}</Empty>;
        return (
          <>
            {items.length > 1 && (
              <div class="tabs">
                {items.map((each) => (
                  <a key={each.id} class="button" href={href("/live", { line: String(each.id) })} aria-current={each.id === line.id ? "page" : undefined}>{each.name}</a>
                ))}
              </div>
            )}
            <LiveLine key={line.id} line={line} reload={lines.reload} />
          </>
        );
      }}
    </Loaded>
  );
}

function LiveLine({ line, reload }: { line: Line; reload: () => Promise<void> }) {
  const connection = useMemo(() => new LiveConnection(line.id), [line.id]);
  useEffect(() => () => connection.close(), [connection]);
  const part = connection.part.value;
  return (
    <div class="live">
      <section class="now">
        <Banner part={part} line={line} />
        {part ? <LivePicture connection={connection} /> : <Empty title={T.live.waiting}>{T.live.waitingHelp}</Empty>}
      </section>
      <aside>
        <State line={line} open={connection.open.value} reload={reload} />
        <h3>{T.live.scores}</h3>
        <ScoreChart parts={connection.recent.value} />
        <h3>{T.live.recent}</h3>
        <Recent parts={connection.recent.value} />
      </aside>
    </div>
  );
}

function Banner({ part, line }: { part: LivePart | null; line: Line }) {
  if (line.state !== "running") {
    return <div class="banner ERROR" role="status"><strong>!</strong><span>{line.state === "held" ? T.live.held : T.live.stopped}</span></div>;
  }
  if (!part) return null;
  const { sign, word } = VERDICTS[part.verdict];
  const names = [...new Set(part.defects.map((each) => each.label))];
  return (
    <div class={`banner ${part.verdict}`} role="status" aria-live="polite">
      <strong><span aria-hidden="true">{sign}</span> {word}</strong>
      <span class="what">
        <b class="name" title={names.join(", ")}>{part.error ?? (names.length > 0 ? names.join(", ") : T.live.defects(part.num_defects))}</b>
        <small class="name">{part.serial} {part.lot && `· ${part.lot}`} · {score(part.score)}</small>
      </span>
    </div>
  );
}

/** The newest picture with its own outlines and verdict; on a fast line the banner may be some parts ahead of it. */
function LivePicture({ connection }: { connection: LiveConnection }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const paint = () => {
      const shown = connection.picture.value;
      const part = connection.recent.value.findLast((each) => each.seq === shown?.header.seq);
      if (canvas.current && shown) paintPart(canvas.current, shown.bitmap, shown.header.scale, part?.defects.map(markOfDefect) ?? []);
    };
    const sizes = new ResizeObserver(paint);
    sizes.observe(canvas.current!);
    const stop = effect(paint);
    return () => {
      stop();
      sizes.disconnect();
    };
  }, [connection]);
  const seq = connection.picture.value?.header.seq;
  const part = connection.recent.value.findLast((each) => each.seq === seq);
  return (
    <div class="livepicture">
      <canvas ref={canvas} role="img" aria-label={part ? `${part.serial}: ${VERDICTS[part.verdict].word}, ${T.live.defects(part.num_defects)}` : ""} />
      {part && <p class="caption"><VerdictBadge verdict={part.verdict} /> <span class="name">{part.serial}</span></p>}
    </div>
  );
}

/** shrunk: scale of the picture to the image that the marks are in */
function paintPart(canvas: HTMLCanvasElement, bitmap: ImageBitmap, shrunk: number, marks: readonly Mark[]): void {
  const [ratio, width, height] = [devicePixelRatio, canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d")!;
  const fitted = Math.min(width / bitmap.width, height / bitmap.height);
  const [wide, high] = [bitmap.width * fitted, bitmap.height * fitted];
  const view: View = { scale: fitted * shrunk, left: (width - wide) / 2, top: (height - high) / 2, width, height, ratio };
  clear(context, view);
  context.imageSmoothingEnabled = fitted < 2;
  context.drawImage(bitmap, view.left, view.top, wide, high);
  drawMarks(context, marks, view);
  drawLabels(context, marks, view);
}

function State({ line, open, reload }: { line: Line; open: boolean; reload: () => Promise<void> }) {
  const change = async (action: Promise<unknown>) => {
    await action.catch((error) => say(messageOf(error), true));
    await reload();
  };
  const { live } = line;
  const rows: [string, string][] = [
    [T.live.state, live?.state ?? T.live.away],
    [T.live.rate, live?.parts_per_s?.toFixed(1) ?? T.none],
    [T.live.p99, live?.p99_ms ? `${live.p99_ms.toFixed(0)} ms` : T.none],
    [T.live.behindLabel, line.behind === null ? T.none : T.live.behind(line.behind)],
    [T.live.bundle, line.bundle_id ?? T.none],
    ...(line.shadow_bundle_id ? [[T.live.shadow, line.shadow_bundle_id] as [string, string]] : []),
  ];
  return (
    <section class="panel">
      <h2 class="name" title={line.name}>{line.name}</h2>
      {!open && <p class="notice small bad">{T.live.lost}</p>}
      {line.fault && <p class="notice small bad">{line.fault}</p>}
      <dl class="facts">{rows.map(([name, value]) => <div key={name}><dt>{name}</dt><dd title={value}>{value}</dd></div>)}</dl>
      <p class="counts">
        {(["OK", "REVIEW", "NG", "ERROR"] as const).map((verdict) => (
          <a key={verdict} href={href("/parts", { line: String(line.id), verdict })} title={T.live.lastHour}>
            <VerdictBadge verdict={verdict} /> {line.last_hour[verdict] ?? 0}
          </a>
        ))}
      </p>
      {may("operator") && (
        <div class="actions">
          {line.state === "running"
            ? <button class="hold" onClick={() => confirm(T.live.holdAsk(line.name)) && change(api.hold(line.id))}>❚❚ {T.live.hold}</button>
            : <button class="primary" onClick={() => change(api.start(line.id))}>▶ {T.live.resume}</button>}
        </div>
      )}
    </section>
  );
}

function Recent({ parts }: { parts: readonly LivePart[] }) {
  const open = async (part: LivePart) => {
    const { items } = await api.inspections({ serial: part.serial, lot: part.lot, limit: 1 });
    if (items[0]) go(`/parts/${items[0].id}`);
  };
  return (
    <ol class="recent">
      {parts.slice(-SHOWN).reverse().map((part) => (
        <li key={part.seq}>
          <button class="quiet row" onClick={() => void open(part).catch((error) => say(messageOf(error), true))}>
            <VerdictBadge verdict={part.verdict} />
            <span class="name" title={part.serial}>{part.serial}</span>
            <span class="faint">{T.live.defects(part.num_defects)}</span>
          </button>
        </li>
      ))}
    </ol>
  );
}
