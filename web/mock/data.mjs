/** What the mock station holds: parts with 0 to 5,000 defects, names that are long or from right to left, jobs, a comparison. */
import { createHash } from "node:crypto";

export const LONG = "housing-left-front-A4711-überlange-Bezeichnung-with-a-name-that-does-not-end-soon-0001";

/** Deterministic numbers in [0, 1). */
export function numbers(seed) {
  let state = seed;
  return () => (state = (state * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
}

const sha = (text) => createHash("sha256").update(text).digest("hex");
const NAMES = ["scratch", "dent", "stain", "a class with quite a long name that somebody once chose", "خدش"];

/** spread: share of the image, from its corner, that they are in */
function defectsOf(count, width, height, seed, spread) {
  const random = numbers(seed);
  return Array.from({ length: count }, () => {
    const [w, h] = [8 + random() * width * 0.03, 8 + random() * height * 0.02];
    const [x, y] = [random() * (spread * width - w), random() * (spread * height - h)];
    const box = [x, y, x + w, y + h].map(Math.round);
    const ring = Array.from({ length: 14 }, (_, i) => {
      const [cx, cy] = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
      const angle = (i / 14) * 2 * Math.PI;
      return [cx + (Math.cos(angle) * (box[2] - box[0])) / 2.2, cy + (Math.sin(angle) * (box[3] - box[1])) / 2.2];
    });
    const label = NAMES[Math.floor(random() * NAMES.length)];
    return { label, confidence: 0.5 + random() / 2, box_xyxy: box, contour: [ring], area: w * h, mm: { length: w / 20, width: h / 20, area: (w * h) / 400 } };
  });
}

const KINDS = [
  // serial, verdict, defects, width, height, dtype, share of the image that they are in
  ["P-100001", "REVIEW", 2, 1600, 1200, "uint8"],
  [LONG, "NG", 7, 2448, 2048, "uint8"],
  ["P-100003", "OK", 0, 1600, 1200, "uint8"],
  ["P-100004", "REVIEW", 0, 8192, 12800, "uint8"],
  ["P-100005", "NG", 5000, 8192, 12800, "uint8"],
  ["P-100006", "REVIEW", 1, 2048, 2048, "uint16"],
  ["P-100007", "ERROR", 0, null, null, null],
  ["غطاء أيسر 7", "NG", 24, 1600, 1200, "uint8", 0.3],
];

/** empty: a station of which nobody has made anything yet */
export function makeStation({ empty = false } = {}) {
  const station = { users: [], tokens: [], lines: [], bundles: [], sessions: new Map(), classes: [], inspections: [], reviews: [], annotations: new Map(), datasets: [], jobs: [], comparisons: [], audit: [], skipped: new Set(), nextId: 1000 };
  if (empty) return station;
  NAMES.forEach((name, i) => {
    station.classes.push({ id: i + 1, name, colour: ["#ffb454", "#5ec8f2", "#ff7ab8", "#8fe388", "#c9a6ff"][i], definition: i === 0 ? "A line-shaped groove that a fingernail feels.\nNot: polishing marks in the grain’s direction." : "", limit: i === 0 ? { measure: "length", unit: "mm", review: 1, ng: 2 } : null, example_id: i === 0 ? sha("P-100001") : null, counter_example_id: null, retired_at: null });
  });
  station.lines.push(
    lineOf(1, "press-3-left", { bundle_id: BUNDLES[0] }),
    lineOf(2, "a-line-whose-name-is-about-as-long-as-a-name-of-a-line-may-be-64", { state: "held", source: { kind: "video", path: "/srv/parts/a folder with a long name/of which there is more/recording.mp4", every: 3 }, fault: "The journal cannot be read after record 81920." }),
  );
  for (let i = 0; i < 160; i++) addPart(station, i);
  station.bundles.push(...BUNDLES.map((id, i) => ({ id, method: "severity", class_names: NAMES, runtime: i ? "onnx" : "torch", precision: i ? "fp32" : null, has_certificate: i === 1, certificate_passed: i === 1 || null, decision_revision: 3, parent_id: i ? BUNDLES[0] : null, job_id: null, dataset_id: null, bytes: 14200000, created_at: "2026-11-20T10:00:00Z", retired_at: null })));
  station.tokens.push({ id: 1, name: "press 3, the controller that stands beside it and has a long name", role: "operator", line_id: 1, created_at: "2026-11-02T08:00:00Z", expires_at: "2027-11-02T08:00:00Z", last_used: "2026-11-30T07:59:00Z", revoked_at: null });
  addWork(station);
  return station;
}

export const BUNDLES = ["severity-b1d0c0ffee01", "severity-5ca1ab1e0002"];

/** A line as the API gives it; its counts and live state are made when it is asked for. */
export function lineOf(id, name, changes = {}) {
  return { id, name, state: "running", source: { kind: "folder", path: `/srv/parts/${name}`, renamed: true, after: "keep" }, deadline_ms: null, keep: { review: true, ng: true, error: true, ok_share: 0.01 }, audit_share: 0.01, review_is_ng: true, bundle_id: null, shadow_bundle_id: null, fault: null, ...changes };
}

/** Data sets, jobs of each state, a comparison and audit entries. */
function addWork(station) {
  const at = (minute) => `2026-11-29T09:${String(minute).padStart(2, "0")}:00Z`;
  station.datasets.push(
    { id: 2, name: "March and April, all lots of press 3, relabelled after the talk with the customer", fingerprint: null, frozen_at: null, by: "engineer", created_at: at(1), num_images: {}, choice: { lots: [], line_ids: [] } },
    { id: 1, name: "first", fingerprint: "a3f0".repeat(16), frozen_at: at(3), by: "engineer", created_at: at(2), num_images: { train: 960, val: 320, test: 320 }, choice: { lots: [], line_ids: [] } },
  );
  const job = (id, kind, state, changes) => ({ id, kind, args: { dataset_id: 1, method: "severity", preset: "default" }, state, attempt: 1, progress: 40, total: 40, message: "", result: null, by: "engineer", has_report: false, created_at: at(id), started_at: at(id), ended_at: state === "queued" ? null : at(id + 1), ...changes });
  station.jobs.push(
    job(14, "export", "queued", { progress: null, total: null }),
    job(13, "evaluate", "failed", { attempt: 3, message: "The annotation of image 7f3c…/a-file-with-a-long-name-that-does-not-break.png names a class that the bundle does not know: scratch-of-the-left-side. Add it, or leave the image out." }),
    job(12, "train", "done", { has_report: true, message: "Done.", result: { bundle_id: BUNDLES[1] } }),
    job(11, "add_class", "cancelled", { message: "It was cancelled." }),
  );
  station.comparisons.push(comparisonOf(station, { a: BUNDLES[0], b: BUNDLES[1], dataset_id: 1 }, at(20)));
  for (let id = 1; id <= 12; id++) {
    station.audit.push({ id, at: at(20 + id), who: "engineer", address: "127.0.0.1", action: id % 3 ? "review" : "line.promote", object: id % 3 ? `inspections/${id}/review` : "line/1", before: id % 3 ? null : { bundle: BUNDLES[0] }, after: { verdict: "NG", bundle: BUNDLES[1] }, why: id % 3 ? "" : "Fewer escapes on the frozen set, and the operators of both shifts agree that its outlines are better.", hash: "0".repeat(64) });
  }
}

/** A comparison of two bundles with four flips. */
export function comparisonOf(station, { a, b, dataset_id }, at) {
  const flips = station.inspections.slice(8, 12).map(({ image }, i) => ({ sha256: image.sha256, defective: i === 3 ? null : true, a: { verdict: "OK", score: 0.2 }, b: { verdict: "NG", score: 0.9 }, better: "b" }));
  const rate = (n) => ({ n, of: 250, lower95: n / 300, upper95: (n + 4) / 250 });
  return { id: station.nextId++, a, b, dataset_id, at, doc: { images: 260, labelled: 250, table: { both_right: 230, only_a_right: 3, only_b_right: 14, both_wrong: 3 }, p_value: 0.0127, a: { escapes: rate(9), overkill: rate(8) }, b: { escapes: rate(3), overkill: rate(3) }, num_flips: 4, flips } };
}

/** Adds a part; the first ones are the kinds above, later ones plain. */
export function addPart(station, i) {
  const random = numbers(i + 7);
  const verdicts = ["OK", "OK", "OK", "OK", "NG", "REVIEW"];
  const [serial, verdict, count, width, height, dtype, spread = 1] = KINDS[i] ?? [`P-${100001 + i}`, verdicts[Math.floor(random() * 6)], 0, 1600, 1200, "uint8"];
  const found = count || (i >= KINDS.length && verdict !== "OK" ? 1 + Math.floor(random() * 4) : 0);
  const defects = width ? defectsOf(found, width, height, i + 1, spread) : [];
  const at = new Date(Date.UTC(2026, 10, 30, 8, 0, i)).toISOString();
  const inspection = {
    id: i + 1, line_id: 1, seq: i + 1, at, serial, lot: `L${Math.floor(i / 40) + 1}`, verdict,
    score: verdict === "ERROR" ? null : { OK: 0.1, REVIEW: 0.5, NG: 0.85 }[verdict] + random() * 0.1,
    grade: null, bundle_id: station.lines[0].bundle_id, decision_revision: 3, num_defects: defects.length,
    classes: [...new Set(defects.map((each) => each.label))],
    image: { sha256: sha(serial), height, width, channels: 1, dtype, kept: width !== null, kept_because: "verdict", tiles: "ready" },
    answered_ms: i === 1 ? null : 31.4, answered_via: i === 1 ? null : "socket", shadow: false, audit: i === 2, review: null,
  };
  station.inspections.push({ ...inspection, doc: { defects, reasons: verdict === "REVIEW" ? ["score 0.52 is between 0.40 and 0.60"] : [], error: verdict === "ERROR" ? "The image is cut off after 81920 bytes." : null, size: width ? [height, width] : null }, runtime: { blemish: "0.2.0", runtime: "onnxruntime 1.20", threads: 1, processor: "x86_64" }, ms: { decode: 4.1, inspect: 25.3 } });
  return station.inspections.at(-1);
}
