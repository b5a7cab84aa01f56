/** The form of a line's settings. */
import { useState } from "preact/hooks";
import { api } from "../api";
import type { Line, LineBody, Source } from "../api/types";
import { T } from "../texts";
import { Field, Form, useLoad } from "./basics";

const L = T.lines;
type Kind = Source["kind"] | "api";
const KINDS = ["folder", "list", "video", "api"] as const satisfies readonly Kind[];

/** Where parts come from, in words. */
export function sourceText(source: Source | null): string {
  return source ? `${L.kinds[source.kind]}: ${source.path}` : L.kinds.api;
}

export function LineForm({ of, onDone }: { of: Line | null; onDone: () => Promise<void> }) {
  const [kind, setKind] = useState<Kind>(of ? (of.source?.kind ?? "api") : "folder");
  const bundles = useLoad(api.bundles, []);
  const send = async (values: Record<string, string>) => {
    const body = settingsOf(kind, values);
    const { id } = of ? await api.changeLine(of.id, body) : await api.addLine({ ...body, name: values.name! });
    if (values.bundle) {
      await api.promote(id, { bundle_id: values.bundle, why: values.why! });
      await api.start(id);
    }
    await onDone();
  };
  const source = of?.source?.kind === kind ? of.source : null;
  return (
    <Form submit={T.save} onSubmit={send}>
      {!of && <Field label={L.name} help={L.nameHelp}><input name="name" required autofocus maxLength={64} pattern="[A-Za-z0-9][A-Za-z0-9._\-]*" autocomplete="off" /></Field>}
      <Field label={L.source}>
        <select value={kind} onChange={(event) => setKind(event.currentTarget.value as Kind)}>
          {KINDS.map((each) => <option key={each} value={each}>{L.kinds[each]}</option>)}
        </select>
      </Field>
      <SourceFields key={kind} kind={kind} of={source} />
      <fieldset>
        <legend>{L.answer}</legend>
        <Field label={L.deadlineMs} help={L.deadlineHelp}><input name="deadline" type="number" min={1} max={3600000} defaultValue={of?.deadline_ms ?? ""} /></Field>
        <Check name="review_is_ng" label={L.reviewIsNg} checked={of?.review_is_ng ?? true} />
      </fieldset>
      <fieldset>
        <legend>{L.keepImages}</legend>
        <div class="checks">
          {(["review", "ng", "error"] as const).map((each) => <Check key={each} name={each} label={each.toUpperCase()} checked={of?.keep[each] ?? true} />)}
        </div>
        <div class="half">
          <Field label={L.okShare}><input name="ok_share" type="number" min={0} max={100} step="any" required defaultValue={percent(of?.keep.ok_share)} /></Field>
          <Field label={L.auditShare}><input name="audit_share" type="number" min={0} max={100} step="any" required defaultValue={percent(of?.audit_share)} /></Field>
        </div>
      </fieldset>
      {of?.bundle_id ? <p class="faint">{L.bundleElsewhere}</p> : <FirstBundle ids={bundles.data?.items.map(({ id }) => id) ?? []} />}
    </Form>
  );
}

/** Where the files are, and what only this kind of source asks for. */
function SourceFields({ kind, of }: { kind: Kind; of: Source | null }) {
  if (kind === "api") return <p class="faint">{L.apiHelp}</p>;
  return (
    <>
      <Field label={L.path[kind]} help={L.pathHelp}><input name="path" required maxLength={1000} defaultValue={of?.path} autocomplete="off" /></Field>
      {kind === "folder" && (
        <>
          <Check name="renamed" label={L.renamed} checked={of?.kind === "folder" && of.renamed} />
          <Check name="delete" label={L.deleteAfter} checked={of?.kind === "folder" && of.after === "delete"} />
        </>
      )}
      {kind === "video" && <Field label={L.every}><input name="every" type="number" min={1} required defaultValue={of?.kind === "video" ? of.every : 1} /></Field>}
    </>
  );
}

/** The first bundle of a line needs no comparison; later ones are promoted beside the one that runs. */
function FirstBundle({ ids }: { ids: readonly string[] }) {
  const [chosen, setChosen] = useState("");
  if (ids.length === 0) return <p class="faint">{L.noBundleHelp}</p>;
  return (
    <fieldset>
      <legend>{L.bundle}</legend>
      <Field label={L.firstBundle} help={L.firstBundleHelp}>
        <select name="bundle" value={chosen} onChange={(event) => setChosen(event.currentTarget.value)}>
          <option value="">{L.noBundle}</option>
          {ids.map((id) => <option key={id} value={id}>{id}</option>)}
        </select>
      </Field>
      {chosen && <Field label={T.bundles.why} help={T.bundles.whyHelp}><input name="why" required minLength={3} maxLength={2000} /></Field>}
    </fieldset>
  );
}

function Check({ name, label, checked }: { name: string; label: string; checked: boolean }) {
  return <label class="check"><input type="checkbox" name={name} defaultChecked={checked} /> <span>{label}</span></label>;
}

const percent = (share = 0.01) => Number((100 * share).toPrecision(6));

/** Settings from a form, whose boxes are there where they are ticked. */
function settingsOf(kind: Kind, values: Record<string, string>): LineBody {
  return {
    source: sourceOf(kind, values),
    deadline_ms: values.deadline ? Number(values.deadline) : null,
    keep: { review: "review" in values, ng: "ng" in values, error: "error" in values, ok_share: Number(values.ok_share) / 100 },
    audit_share: Number(values.audit_share) / 100,
    review_is_ng: "review_is_ng" in values,
  };
}

function sourceOf(kind: Kind, values: Record<string, string>): Source | null {
  const path = values.path ?? "";
  switch (kind) {
    case "folder":
      return { kind, path, renamed: "renamed" in values, after: "delete" in values ? "delete" : "keep" };
    case "list":
      return { kind, path };
    case "video":
      return { kind, path, every: Number(values.every) };
    case "api":
      return null;
  }
}
