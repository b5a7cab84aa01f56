/** Comparisons of two bundles on the same images: the paired table, McNemar's p, flips as pictures. */
import { api } from "../api";
import type { Comparison, Rate } from "../api/types";
import { T } from "../texts";
import { Empty, VerdictBadge, time } from "./basics";

const SHOWN = 24;

export function Comparisons({ items }: { items: readonly Comparison[] }) {
  if (items.length === 0) return <Empty title={T.bundles.noComparisons} />;
  return <>{items.map((each, i) => <One key={each.id} of={each} open={i === 0} />)}</>;
}

function One({ of: { id, a, b, doc, at }, open }: { of: Comparison; open: boolean }) {
  const { table } = doc;
  return (
    <details class="card" open={open}>
      <summary><b>#{id}</b> <span class="name">{a} → {b}</span> <span class="faint">{time(at)}</span></summary>
      <div class="two">
        <dl class="facts">
          <div><dt>{T.bundles.bothRight}</dt><dd>{table.both_right}</dd></div>
          <div><dt>{T.bundles.onlyA}</dt><dd>{table.only_a_right}</dd></div>
          <div><dt>{T.bundles.onlyB}</dt><dd>{table.only_b_right}</dd></div>
          <div><dt>{T.bundles.bothWrong}</dt><dd>{table.both_wrong}</dd></div>
        </dl>
        <dl class="facts">
          <div><dt>{T.bundles.escapes}</dt><dd>{rate(doc.a.escapes)} → {rate(doc.b.escapes)}</dd></div>
          <div><dt>{T.bundles.overkill}</dt><dd>{rate(doc.a.overkill)} → {rate(doc.b.overkill)}</dd></div>
          <div><dt>{T.bundles.images}</dt><dd>{T.bundles.labelled(doc.labelled, doc.images)}</dd></div>
          <div><dt>McNemar</dt><dd>{T.bundles.mcnemar(doc.p_value)}</dd></div>
        </dl>
      </div>
      <h3>{T.bundles.flips} <span class="count">{doc.num_flips}</span></h3>
      {doc.flips.length === 0 && <p class="faint">{T.bundles.noFlips}</p>}
      <ul class="flips">
        {doc.flips.slice(0, SHOWN).map((flip) => (
          <li key={flip.sha256}>
            <img src={api.crop(flip.sha256, { largest: 240 })} alt="" loading="lazy" />
            <span><VerdictBadge verdict={flip.a.verdict} /> → <VerdictBadge verdict={flip.b.verdict} /></span>
            <span class="faint">{flip.defective === null ? T.none : T.bundles.truth(flip.defective)}</span>
          </li>
        ))}
      </ul>
      {doc.num_flips > SHOWN && <p class="faint">{T.part.moreDefects(doc.num_flips - SHOWN)}</p>}
    </details>
  );
}

/** A share with its bounds: "3/250 (0.3 – 3.1 %)". */
function rate({ n, of, lower95, upper95 }: Rate): string {
  const percent = (value: number) => (100 * value).toFixed(1);
  return of === 0 ? T.none : `${n}/${of} (${percent(lower95)} – ${percent(upper95)} %)`;
}
