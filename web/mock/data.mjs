/** What the mock station holds: parts with 0 to 5,000 defects, long names, two bundles, a finished comparison. */
import { createHash } from "node:crypto";

export const LONG = "housing-left-front-A4711-überlange-Bezeichnung-with-a-name-that-does-not-end-soon-0001";

/** Deterministic numbers in [0, 1). */
export function numbers(seed) {
  let state = seed;
  return () => (state = (state * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
}

const sha = (text) => createHash("sha256").update(text).digest("hex");
const NAMES = ["scratch", "dent", "stain", "a class with quite a long name that somebody once chose"];

function defectsOf(count, width, height, seed) {
  const random = numbers(seed);
  return Array.from({ length: count }, () => {
    const [w, h] = [8 + random() * width * 0.03, 8 + random() * height * 0.02];
    const [x, y] = [random() * (width - w), random() * (height - h)];
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
  // serial, verdict, defects, width, height, dtype
  ["P-100001", "REVIEW", 2, 1600, 1200, "uint8"],
  [LONG, "NG", 7, 2448, 2048, "uint8"],
  ["P-100003", "OK", 0, 1600, 1200, "uint8"],
  ["P-100004", "REVIEW", 0, 8192, 12800, "uint8"],
  ["P-100005", "NG", 5000, 8192, 12800, "uint8"],
  ["P-100006", "REVIEW", 1, 2048, 2048, "uint16"],
  ["P-100007", "ERROR", 0, null, null, null],
];

export function makeStation() {
  const station = { users: [], sessions: new Map(), classes: [], inspections: [], reviews: [], annotations: new Map(), datasets: [], jobs: [], comparisons: [], audit: [], skipped: new Set(), state: "running", bundle: "severity-b1d0c0ffee01", shadow: null, nextId: 1000 };
  NAMES.forEach((name, i) => {
    station.classes.push({ id: i + 1, name, colour: ["#ffb454", "#5ec8f2", "#ff7ab8", "#8fe388"][i], definition: i === 0 ? "A line-shaped groove that a fingernail feels.\nNot: polishing marks in the grain’s direction." : "", limit: i === 0 ? { measure: "length", unit: "mm", review: 1, ng: 2 } : null, example_id: i === 0 ? sha("P-100001") : null, counter_example_id: null, retired_at: i === 3 ? null : null });
  });
  for (let i = 0; i < 160; i++) addPart(station, i);
  return station;
}

/** Adds a part; the first ones are the kinds above, later ones plain. */
export function addPart(station, i) {
  const random = numbers(i + 7);
  const verdicts = ["OK", "OK", "OK", "OK", "NG", "REVIEW"];
  const [serial, verdict, count, width, height, dtype] = KINDS[i] ?? [`P-${100001 + i}`, verdicts[Math.floor(random() * 6)], 0, 1600, 1200, "uint8"];
  const found = count || (i >= KINDS.length && verdict !== "OK" ? 1 + Math.floor(random() * 4) : 0);
  const defects = width ? defectsOf(found, width, height, i + 1) : [];
  const at = new Date(Date.UTC(2026, 10, 30, 8, 0, i)).toISOString();
  const inspection = {
    id: i + 1, line_id: 1, seq: i + 1, at, serial, lot: `L${Math.floor(i / 40) + 1}`, verdict,
    score: verdict === "ERROR" ? null : { OK: 0.1, REVIEW: 0.5, NG: 0.85 }[verdict] + random() * 0.1,
    grade: null, bundle_id: station.bundle, decision_revision: 3, num_defects: defects.length,
    classes: [...new Set(defects.map((each) => each.label))],
    image: { sha256: sha(serial), height, width, channels: 1, dtype, kept: width !== null, kept_because: "verdict", tiles: "ready" },
    answered_ms: i === 1 ? null : 31.4, answered_via: i === 1 ? null : "socket", shadow: false, audit: i === 2, review: null,
  };
  station.inspections.push({ ...inspection, doc: { defects, reasons: verdict === "REVIEW" ? ["score 0.52 is between 0.40 and 0.60"] : [], error: verdict === "ERROR" ? "The image is cut off after 81920 bytes." : null, size: width ? [height, width] : null }, runtime: { blemish: "0.2.0", runtime: "onnxruntime 1.20", threads: 1, processor: "x86_64" }, ms: { decode: 4.1, inspect: 25.3 } });
  return station.inspections.at(-1);
}
