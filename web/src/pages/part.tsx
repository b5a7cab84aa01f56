/** One part: its picture, what was found, what people said, and drawing on it. */
import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../api";
import { Loaded, VerdictBadge, messageOf, useLoad } from "../parts/basics";
import { Facts, History } from "../parts/record";
import { Workbench } from "../parts/workbench";
import { go, href, query } from "../router";
import { may, say } from "../state";
import { T } from "../texts";
import type { InspectionInFull } from "../api/types";
import { FILTERS, asked } from "./parts";

export function PartPage({ id }: { id: number }) {
  const filters = Object.fromEntries(FILTERS.map((key) => [key, query.value[key] ?? ""]));
  const load = useLoad(() => api.inspection(id, asked(filters)), [id]);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || (event.target as HTMLElement).closest("input, textarea, select, dialog")) return;
      const to = { j: load.data?.older, k: load.data?.newer }[event.key];
      if (to) go(`/parts/${to}`, filters);
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [load.data]);
  return (
    <Loaded load={load}>
      {(inspection) => (
        <>
          <header class="pagehead">
            <a class="button" href={href("/parts", filters)}>‹ {T.part.back}</a>
            <h1 class="name" title={inspection.serial}>{T.part.title(inspection.serial)}</h1>
            <span class="space" />
            <Neighbour to={inspection.newer} filters={filters} text={`↑ ${T.part.newer}`} />
            <Neighbour to={inspection.older} filters={filters} text={`↓ ${T.part.older}`} />
          </header>
          <Workbench
            image={inspection.image}
            defects={inspection.doc.defects}
            onSaved={() => setTurn((before) => before + 1)}
            head={() => (
              <>
                {inspection.verdict && <VerdictBadge verdict={inspection.verdict} big />}
                {may("operator") && (
                  <Verdicts inspection={inspection} onDone={() => { setTurn((before) => before + 1); void load.reload(); }} />
                )}
              </>
            )}
            foot={
              <>
                <History id={inspection.id} image={inspection.image?.sha256 ?? null} turn={turn} />
                <Facts inspection={inspection} />
              </>
            }
          />
        </>
      )}
    </Loaded>
  );
}

function Neighbour({ to, filters, text }: { to: number | null; filters: Record<string, string>; text: string }) {
  if (to === null) return <button disabled>{text}</button>;
  return <a class="button" href={href(`/parts/${to}`, filters)}>{text}</a>;
}

/** A person's verdict on this part; it supersedes the one that holds. */
function Verdicts({ inspection, onDone }: { inspection: InspectionInFull; onDone: () => void }) {
  const since = useRef(performance.now());
  const give = async (verdict: "OK" | "NG") => {
    try {
      const seconds = Math.min((performance.now() - since.current) / 1000, 86400);
      await api.review(inspection.id, { verdict, seconds, supersedes: inspection.review?.id ?? null });
      say(T.review.done(inspection.serial, verdict));
    } catch (error) {
      say(messageOf(error), true);
    }
    onDone();
  };
  return (
    <div class="actions">
      <button class="OK" onClick={() => give("OK")}>✓ {T.review.ok}</button>
      <button class="NG" onClick={() => give("NG")}>✕ {T.review.ng}</button>
    </div>
  );
}
