/** What is recorded of a part: how it was judged, its reviews and annotations, and its replay. */
import { useState } from "preact/hooks";
import { api } from "../api";
import type { InspectionInFull, Replay, Review } from "../api/types";
import { may, say } from "../state";
import { T } from "../texts";
import { VerdictBadge, messageOf, score, time, useLoad } from "./basics";

export function Facts({ inspection }: { inspection: InspectionInFull }) {
  const { doc, runtime, answered_ms, answered_via } = inspection;
  const rows: [string, string | null][] = [
    [T.live.lot, inspection.lot],
    [T.parts.columns.at, time(inspection.at)],
    [T.live.score, score(inspection.score)],
    [T.part.bundle, inspection.bundle_id],
    [T.part.decision, inspection.decision_revision === null ? null : String(inspection.decision_revision)],
    [T.part.answered, answered_ms === null ? `! ${T.part.notAnswered}` : T.part.answeredIn(answered_ms, answered_via ?? "")],
    [T.part.runtime, Object.values(runtime).filter((v) => typeof v !== "object").join(" · ")],
    [T.part.image, inspection.image?.sha256 ?? null],
  ];
  return (
    <>
      {doc.error && <p class="notice small bad">{doc.error}</p>}
      {doc.reasons && doc.reasons.length > 0 && (
        <>
          <h3>{T.part.reasons}</h3>
          <ul class="reasons">{doc.reasons.slice(0, 12).map((reason) => <li key={reason}>{reason}</li>)}</ul>
        </>
      )}
      <h3>{T.part.record}</h3>
      <dl class="facts">
        {rows.filter(([, value]) => value).map(([name, value]) => (
          <div key={name}><dt>{name}</dt><dd title={value!}>{value}</dd></div>
        ))}
      </dl>
      {may("operator") && <ReplayButton id={inspection.id} />}
    </>
  );
}

export function History({ id, image, turn }: { id: number; image: string | null; turn: number }) {
  const reviews = useLoad(() => api.reviews(id), [id, turn]);
  const versions = useLoad(() => (image ? api.versions(image) : Promise.resolve({ items: [], next: null })), [image, turn]);
  const entries = [
    ...(reviews.data?.items ?? []).map((review) => ({ at: review.at, content: <Reviewed review={review} /> })),
    ...(versions.data?.items ?? []).filter((each) => each.version > 0).map((each) => ({
      at: each.at ?? "",
      content: <>{T.part.annotated(each.by ?? "", each.version)}</>,
    })),
  ].sort((a, b) => b.at.localeCompare(a.at));
  return (
    <>
      <h3>{T.part.history}</h3>
      {entries.length === 0 && <p class="faint">{T.part.noHistory}</p>}
      <ol class="history">
        {entries.map((entry, i) => (
          <li key={i}>
            <time class="faint">{time(entry.at)}</time>
            <div>{entry.content}</div>
          </li>
        ))}
      </ol>
    </>
  );
}

function Reviewed({ review }: { review: Review }) {
  return (
    <>
      <VerdictBadge verdict={review.verdict} /> {review.by} {review.blind && <span class="faint">({T.part.blind})</span>}
      {review.comment && <p>{review.comment}</p>}
    </>
  );
}

function ReplayButton({ id }: { id: number }) {
  const [outcome, setOutcome] = useState<Replay | null>(null);
  const [busy, setBusy] = useState(false);
  const run = async () => {
    setBusy(true);
    try {
      setOutcome(await api.replay(id));
    } catch (error) {
      say(messageOf(error), true);
    }
    setBusy(false);
  };
  return (
    <>
      <button disabled={busy} onClick={run}>{busy ? T.part.replaying : T.part.replay}</button>
      {outcome && <p>{outcome.same ? `✓ ${T.part.replaySame}` : `! ${T.part.replayDiffers(outcome.differences.length)}`}</p>}
      {outcome?.notes.map((note) => <p key={note} class="faint">{note}</p>)}
      {outcome && !outcome.same && (
        <dl class="facts">
          {outcome.differences.slice(0, 20).map(({ field, text }) => (
            <div key={field}><dt>{field}</dt><dd title={text}>{text}</dd></div>
          ))}
        </dl>
      )}
    </>
  );
}
