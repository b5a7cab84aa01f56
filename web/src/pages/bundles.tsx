/** Bundles: what runs where, comparing two, promoting with a reason, rolling back, running in shadow. */
import { useState } from "preact/hooks";
import { api } from "../api";
import type { Bundle, Comparison, Line } from "../api/types";
import { Comparisons } from "../parts/comparisons";
import { Dialog, Empty, Field, Form, Loaded, Select, bytes, messageOf, same, time, useLoad } from "../parts/basics";
import { go } from "../router";
import { may, say } from "../state";
import { T } from "../texts";

type Asked = { do: "promote" | "shadow"; bundle: Bundle } | { do: "rollback" | "shadow-end"; line: Line } | { do: "compare" };

export function BundlesPage() {
  const bundles = useLoad(api.bundles, []);
  const lines = useLoad(api.lines, []);
  const comparisons = useLoad(api.comparisons, []);
  const [asked, setAsked] = useState<Asked | null>(null);
  const done = async (text: string) => {
    setAsked(null);
    say(text);
    await Promise.all([bundles.reload(), lines.reload(), comparisons.reload()]);
  };
  const upload = async (file: File | undefined) => {
    if (file) await api.upload(file).then((bundle) => done(bundle.id), (error) => say(messageOf(error), true));
  };
  return (
    <>
      <header class="pagehead">
        <h1>{T.bundles.title}</h1>
        <span class="space" />
        {may("engineer") && (
          <>
            <label class="button">
              {T.bundles.upload}
              <input type="file" accept=".zip" class="hidden" onChange={(event) => void upload(event.currentTarget.files?.[0])} />
            </label>
            <button class="primary" onClick={() => setAsked({ do: "compare" })}>{T.bundles.compare}</button>
          </>
        )}
      </header>
      <Lines lines={lines.data?.items ?? []} onAsk={setAsked} />
      <Loaded load={bundles}>
        {({ items }) =>
          items.length === 0 ? <Empty title={T.bundles.empty}>{T.bundles.emptyHelp}</Empty> : (
            <ul class="cards">
              {items.filter((each) => !each.retired_at).map((each) => <Card key={each.id} of={each} lines={lines.data?.items ?? []} onAsk={setAsked} />)}
            </ul>
          )
        }
      </Loaded>
      <h2>{T.bundles.comparisons}</h2>
      <Loaded load={comparisons}>{({ items }) => <Comparisons items={items} />}</Loaded>
      {asked && (
        <Ask asked={asked} bundles={bundles.data?.items ?? []} lines={lines.data?.items ?? []} comparisons={comparisons.data?.items ?? []} onClose={() => setAsked(null)} onDone={done} />
      )}
    </>
  );
}

/** What runs on each line, with the way back. */
function Lines({ lines, onAsk }: { lines: readonly Line[]; onAsk: (asked: Asked) => void }) {
  if (lines.length === 0) return null;
  return (
    <ul class="lines">
      {lines.map((line) => (
        <li key={line.id} class="card">
          <h2 class="name" title={line.name}>{line.name}</h2>
          <dl class="facts">
            <div><dt>{T.live.bundle}</dt><dd title={line.bundle_id ?? ""}>{line.bundle_id ?? T.none}</dd></div>
            {line.shadow_bundle_id && <div><dt>{T.live.shadow}</dt><dd title={line.shadow_bundle_id}>{line.shadow_bundle_id}</dd></div>}
          </dl>
          {may("engineer") && (
            <div class="actions">
              {line.bundle_id && <button onClick={() => onAsk({ do: "rollback", line })}>↩ {T.bundles.rollback}</button>}
              {line.shadow_bundle_id && <button onClick={() => onAsk({ do: "shadow-end", line })}>{T.bundles.shadowStop}</button>}
            </div>
          )}
          <Promotions line={line} />
        </li>
      ))}
    </ul>
  );
}

function Card({ of, lines, onAsk }: { of: Bundle; lines: readonly Line[]; onAsk: (asked: Asked) => void }) {
  const runs = lines.filter((line) => line.bundle_id === of.id);
  const shadows = lines.filter((line) => line.shadow_bundle_id === of.id);
  return (
    <li class="card">
      <h2 class="name" title={of.id}>{of.id}</h2>
      {runs.map((line) => <p key={line.id} class="state running">▶ {T.bundles.running(line.name)}</p>)}
      {shadows.map((line) => <p key={line.id} class="state">◐ {T.bundles.shadow(line.name)}</p>)}
      <dl class="facts">
        <div><dt>{T.bundles.method}</dt><dd>{[of.method, of.runtime, of.precision].filter(Boolean).join(" · ")}</dd></div>
        <div><dt>{T.nav.classes}</dt><dd title={of.class_names.join(", ")}>{of.class_names.join(", ") || T.none}</dd></div>
        <div><dt>{T.bundles.made}</dt><dd>{time(of.created_at)}</dd></div>
        <div><dt>{T.bundles.size}</dt><dd>{bytes(of.bytes)}</dd></div>
        {of.parent_id && <div><dt>{T.bundles.parent}</dt><dd title={of.parent_id}>{of.parent_id}</dd></div>}
        <div><dt>{T.bundles.certificate}</dt><dd>{certificateText(of)}</dd></div>
      </dl>
      {may("engineer") && lines.length > 0 && (
        <div class="actions">
          <button onClick={() => onAsk({ do: "promote", bundle: of })}>{T.bundles.promote}</button>
          <button onClick={() => onAsk({ do: "shadow", bundle: of })}>{T.bundles.shadowStart}</button>
        </div>
      )}
    </li>
  );
}

/** Whether an export answers as its original; a trained bundle has nothing to certify. */
function certificateText({ has_certificate, certificate_passed }: Bundle): string {
  if (!has_certificate) return T.bundles.noCertificate;
  return certificate_passed ? `✓ ${T.bundles.passed}` : `✕ ${T.bundles.notPassed}`;
}

type AskProps = {
  asked: Asked;
  bundles: readonly Bundle[];
  lines: readonly Line[];
  comparisons: readonly Comparison[];
  onClose: () => void;
  onDone: (text: string) => Promise<void>;
};

/** The dialog of whatever was asked for; every one but a comparison wants a reason. */
function Ask({ asked, bundles, lines, comparisons, onClose, onDone }: AskProps) {
  const reason = <Field label={T.bundles.why} help={T.bundles.whyHelp}><textarea name="why" required minLength={3} maxLength={2000} rows={3} /></Field>;
  const line = (
    <Field label={T.bundles.line}>
      <Select name="line" options={lines.map(({ id, name }) => [String(id), name] as const)} />
    </Field>
  );
  if (asked.do === "compare") return <Compare bundles={bundles} lines={lines} onClose={onClose} onDone={onDone} />;
  if ("line" in asked) {
    const { id, name } = asked.line;
    const ends = asked.do === "shadow-end";
    return (
      <Dialog title={ends ? T.bundles.shadowStop : T.bundles.rollbackTitle(name)} onClose={onClose}>
        <Form submit={ends ? T.bundles.shadowStop : T.bundles.rollback} onSubmit={async ({ why = "" }) => {
          if (ends) await api.shadow(id, null, why);
          else await api.rollback(id, why);
          await onDone(name);
        }}>{reason}</Form>
      </Dialog>
    );
  }
  const { bundle } = asked;
  if (asked.do === "shadow") {
    return (
      <Dialog title={T.bundles.shadowStart} onClose={onClose}>
        <Form submit={T.bundles.shadowStart} onSubmit={async (values) => {
          await api.shadow(Number(values.line), bundle.id, values.why!);
          await onDone(T.bundles.shadowed(bundle.id));
        }}><p class="name">{bundle.id}</p>{line}{reason}</Form>
      </Dialog>
    );
  }
  const fitting = comparisons.filter((each) => each.b === bundle.id);
  return (
    <Dialog title={T.bundles.promoteTitle(bundle.id)} onClose={onClose}>
      <Form submit={T.bundles.promote} onSubmit={async (values) => {
        await api.promote(Number(values.line), { bundle_id: bundle.id, comparison_id: values.comparison ? Number(values.comparison) : null, why: values.why! });
        await onDone(T.bundles.promoted(bundle.id));
      }}>
        {line}
        <Field label={T.bundles.comparison}>
          <Select name="comparison" options={[...fitting.map(({ id, at, a }) => [String(id), `#${id} · ${time(at)} · ${a}`] as const), ["", T.none]]} />
        </Field>
        {reason}
      </Form>
    </Dialog>
  );
}

/** Two bundles on a frozen data set, or on the parts of a line on which one was the other's shadow. */
function Compare({ bundles, lines, onClose, onDone }: Pick<AskProps, "bundles" | "lines" | "onClose" | "onDone">) {
  const datasets = useLoad(api.datasets, []);
  const [on, setOn] = useState("");
  const running = lines.find((each) => each.bundle_id)?.bundle_id ?? "";
  const send = async ({ a = "", b = "", split, from, to }: Record<string, string>, places: readonly string[]) => {
    const [kind, id] = (on || places[0]!).split("/");
    const place = kind === "line" ? { line_id: Number(id), from_seq: Number(from), to_seq: Number(to) } : { dataset_id: Number(id), split: split === "val" ? ("val" as const) : ("test" as const) };
    const { job } = await api.compare({ a, b, ...place });
    if (job) go(`/jobs/${job.id}`);
    else await onDone(T.bundles.compared);
  };
  return (
    <Dialog title={T.bundles.compareTitle} onClose={onClose}>
      <Loaded load={datasets}>
        {({ items }) => {
          const places = [
            ...items.filter((each) => each.frozen_at).map(({ id, name }) => [`dataset/${id}`, name] as const),
            ...lines.filter((each) => each.live).map(({ id, name }) => [`line/${id}`, T.bundles.shadowOf(name)] as const),
          ];
          if (places.length === 0) return <Empty title={T.jobs.needsFrozen} />;
          const options = same(bundles.map(({ id }) => id));
          const line = lines.find(({ id }) => `line/${id}` === (on || places[0]![0]));
          return (
            <Form submit={T.bundles.compare} onSubmit={(values) => send(values, places.map(([place]) => place))}>
              <Field label={T.bundles.a}><Select name="a" options={options} value={running} /></Field>
              <Field label={T.bundles.b}><Select name="b" options={options} value={bundles.find(({ id }) => id !== running)?.id} /></Field>
              <Field label={T.bundles.on}>
                <select value={on || places[0]![0]} onChange={(event) => setOn(event.currentTarget.value)}>
                  {places.map(([place, name]) => <option key={place} value={place}>{name}</option>)}
                </select>
              </Field>
              {line ? (
                <div class="inline">
                  <Field label={T.bundles.fromSeq}><input name="from" type="number" min={1} required defaultValue={1} /></Field>
                  <Field label={T.bundles.toSeq}><input name="to" type="number" min={1} required defaultValue={line.live?.seq} /></Field>
                </div>
              ) : (
                <Field label={T.jobs.split}><Select name="split" options={same(["test", "val"])} /></Field>
              )}
            </Form>
          );
        }}
      </Loaded>
    </Dialog>
  );
}

/** What a line has run, and why. */
function Promotions({ line }: { line: Line }) {
  const load = useLoad(() => api.promotions(line.id), [line.id, line.bundle_id, line.shadow_bundle_id]);
  return (
    <details>
      <summary>{T.bundles.history}</summary>
      <ol class="history">
        {load.data?.items.map((each) => (
          <li key={each.id}>
            <span class="faint">{time(each.at)} · {each.by} · {T.bundles.kinds[each.kind]}</span>
            <div class="name" title={each.bundle_id ?? ""}>{each.bundle_id ?? T.bundles.shadowStop}</div>
            <div>{each.why}</div>
          </li>
        ))}
      </ol>
    </details>
  );
}
