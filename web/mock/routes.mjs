/** The mock's routes: the same addresses, bodies and refusals as the station's, as far as the page uses them. */
import { comparisonOf, lineOf } from "./data.mjs";

const RANK = { viewer: 0, operator: 1, engineer: 2, admin: 3 };
const now = () => new Date().toISOString();
const page = (items) => ({ items, next: null });

/** Method and path with the least role; {} takes a number or a name. */
const TABLE = [
  ["GET /health", null, ({ station }) => ({ status: "ok", version: "0.2.0 mock", needs_setup: station.users.length === 0 })],
  ["POST /setup", null, (a) => a.body.code !== "ABCD-EFGH" ? a.refuse(403, "The code must be that on the console, and there must be no admin yet.") : (a.station.users.push({ id: 1, role: "admin", active: true, created_at: now(), ...a.body }), open(a, a.station.users[0]))],
  ["POST /login", null, (a) => {
    const user = a.station.users.find((each) => each.name === a.body.name && each.password === a.body.password && each.active);
    return user ? open(a, user) : a.refuse(401, "Name or password is wrong.");
  }],
  ["POST /logout", "viewer", (a) => (a.station.sessions.delete(a.cookie), null)],
  ["GET /me", "viewer", ({ user }) => meOf(user)],
  ["GET /users", "admin", ({ station }) => page(station.users.map(({ password, csrf, ...user }) => user))],
  ["POST /users", "admin", (a) => (a.station.users.push({ id: a.station.nextId++, active: true, locked_until: null, created_at: now(), ...a.body }), created(a.station.users.at(-1)))],
  ["PATCH /users/{}", "admin", (a, id) => Object.assign(find(a, a.station.users, id), a.body)],
  ["GET /tokens", "admin", ({ station }) => page(station.tokens)],
  ["POST /tokens", "admin", (a) => {
    const { days, ...body } = a.body;
    a.station.tokens.unshift({ id: a.station.nextId++, line_id: null, created_at: now(), expires_at: days ? new Date(Date.now() + days * 86400000).toISOString() : null, last_used: null, revoked_at: null, ...body });
    return created({ ...a.station.tokens[0], secret: `blemish_${"0123456789abcdef".repeat(3)}` });
  }],
  ["DELETE /tokens/{}", "admin", (a, id) => ((find(a, a.station.tokens, id).revoked_at ??= now()), null)],
  ["GET /lines", "viewer", (a) => page(a.station.lines.map((line) => shown(a, line)))],
  ["POST /lines", "admin", (a) => {
    if (a.station.lines.some(({ name }) => name === a.body.name)) a.refuse(409, `There is a line ${a.body.name} already. Choose another name.`);
    a.station.lines.push(lineOf(a.station.nextId++, a.body.name, { state: "held", ...a.body }));
    return created(shown(a, a.station.lines.at(-1)));
  }],
  ["PATCH /lines/{}", "admin", (a, id) => shown(a, Object.assign(find(a, a.station.lines, id), a.body))],
  ["POST /lines/{}/stop", "engineer", (a, id) => shown(a, Object.assign(find(a, a.station.lines, id), { state: "stopped" }))],
  ["POST /lines/{}/hold", "operator", (a, id) => shown(a, Object.assign(find(a, a.station.lines, id), { state: "held" }))],
  ["POST /lines/{}/start", "operator", (a, id) => shown(a, Object.assign(find(a, a.station.lines, id), { state: "running" }))],
  ["POST /lines/{}/promote", "engineer", (a, id) => (note(a, "line.promote"), created(shown(a, Object.assign(find(a, a.station.lines, id), { bundle_id: a.body.bundle_id }))))],
  ["POST /lines/{}/rollback", "engineer", (a, id) => (note(a, "line.rollback"), created(shown(a, find(a, a.station.lines, id))))],
  ["POST /lines/{}/shadow", "engineer", (a, id) => created(shown(a, Object.assign(find(a, a.station.lines, id), { shadow_bundle_id: a.body.bundle_id })))],
  ["GET /lines/{}/promotions", "viewer", (a, id) => page([{ id: 1, line_id: Number(id), bundle_id: find(a, a.station.lines, id).bundle_id, kind: "promote", by: "engineer", why: "First bundle of this line", at: "2026-11-21T09:00:00Z" }])],
  ["GET /inspections", "viewer", inspections],
  ["GET /inspections/{}", "viewer", (a, id) => {
    const found = find(a, a.station.inspections, id);
    const at = a.station.inspections.indexOf(found);
    return { ...summary(a.station, found), doc: found.doc, runtime: found.runtime, ms: found.ms, newer: a.station.inspections[at + 1]?.id ?? null, older: a.station.inspections[at - 1]?.id ?? null };
  }],
  ["GET /inspections/{}/reviews", "viewer", ({ station }, id) => page(station.reviews.filter((each) => each.inspection_id === Number(id)).reverse())],
  ["POST /inspections/{}/review", "operator", review],
  ["POST /inspections/{}/replay", "operator", () => ({ same: true, differences: [], notes: [] })],
  ["GET /queue/next", "operator", (a) => {
    if (a.url.searchParams.get("skip")) a.station.skipped.add(Number(a.url.searchParams.get("skip")));
    const waiting = a.station.inspections.filter((each) => (each.verdict === "REVIEW" || each.verdict === "NG") && !reviewOf(a.station, each.id) && !a.station.skipped.has(each.id));
    waiting.sort((x, y) => (x.verdict === y.verdict ? x.id - y.id : x.verdict === "REVIEW" ? -1 : 1));
    if (waiting.length === 0) return { item: null };
    return { item: { inspection: summary(a.station, waiting[0]), defects: [], blind: false, until: new Date(Date.now() + 300000).toISOString(), waiting: waiting.length } };
  }],
  ["GET /images/{}", "viewer", (a, sha) => {
    const { image } = imageOf(a, sha);
    return { ...image, levels: levels(image), tile_size: 512 };
  }],
  ["GET /images/{}/annotations", "viewer", (a, sha) => stored(a.station, sha).at(-1)],
  ["GET /images/{}/annotations/versions", "viewer", (a, sha) => page(stored(a.station, sha).slice(1).map(({ version, by, at }) => ({ version, by, at })).reverse())],
  ["PUT /images/{}/annotations", "operator", annotate],
  ["GET /classes", "viewer", ({ station }) => page(station.classes)],
  ["POST /classes", "engineer", (a) => (a.station.classes.push({ id: a.station.nextId++, retired_at: null, ...a.body }), created(a.station.classes.at(-1)))],
  ["PATCH /classes/{}", "engineer", (a, id) => {
    const { retired, ...rest } = a.body;
    return Object.assign(find(a, a.station.classes, id), rest, retired === undefined ? {} : { retired_at: retired ? now() : null });
  }],
  ["GET /datasets", "viewer", ({ station }) => page(station.datasets)],
  ["POST /datasets", "engineer", (a) => (a.station.datasets.unshift({ id: a.station.nextId++, fingerprint: null, frozen_at: null, by: a.user.name, created_at: now(), num_images: {}, ...a.body }), created(a.station.datasets[0]))],
  ["POST /datasets/{}/freeze", "engineer", (a, id) => ({ ...Object.assign(find(a, a.station.datasets, id), { frozen_at: now(), fingerprint: "a3f0".repeat(16), num_images: { train: 96, val: 32, test: 32 } }), left_out: 2 })],
  ["GET /jobs", "viewer", ({ station }) => page(station.jobs.map(tick))],
  ["GET /jobs/{}", "viewer", (a, id) => tick(find(a, a.station.jobs, id))],
  ["POST /jobs", "engineer", (a) => created(addJob(a, a.body))],
  ["POST /jobs/{}/cancel", "engineer", (a, id) => Object.assign(find(a, a.station.jobs, id), { state: "cancelled", ended_at: now(), message: "It was cancelled." })],
  ["GET /jobs/{}/log", "engineer", (a, id) => ({ type: "text/plain", content: Array.from({ length: tick(find(a, a.station.jobs, id)).progress ?? 0 }, (_, i) => `step ${i + 1}  loss ${(1 / (i + 2)).toFixed(4)}`).join("\n") })],
  ["GET /bundles", "viewer", ({ station }) => page(station.bundles)],
  ["GET /comparisons", "viewer", ({ station }) => page(station.comparisons)],
  ["POST /comparisons", "engineer", (a) => {
    a.station.comparisons.unshift(comparisonOf(a.station, a.body, now()));
    return { status: 202, content: { comparison: null, job: addJob(a, { kind: "compare", ...a.body }) } };
  }],
  ["GET /audit", "engineer", ({ station }) => page([...station.audit].reverse())],
  ["GET /audit/verify", "engineer", ({ station }) => ({ whole: true, count: station.audit.length, head: "0".repeat(64), faults: [] })],
].map(([name, role, handler]) => {
  const [method, path] = name.split(" ");
  return { method, pattern: new RegExp(`^${path.replaceAll("{}", "([^/]+)")}$`), role, handler };
});

export function routes(asked) {
  for (const { method, pattern, role, handler } of TABLE) {
    const found = method === asked.method && pattern.exec(asked.path);
    if (!found) continue;
    if (role && !asked.user) asked.refuse(401, "Log in, or give a valid token.");
    if (role && RANK[asked.user.role] < RANK[role]) asked.refuse(403, `This needs the role ${role}. Yours is ${asked.user.role}; ask an admin.`);
    if (role && method !== "GET" && asked.headers["x-csrf-token"] !== asked.user.csrf) asked.refuse(403, "The header X-CSRF-Token must repeat the session's token. Log in again.");
    return handler(asked, ...found.slice(1));
  }
  return asked.refuse(404, "Not Found");
}

const created = (content) => ({ status: 201, content });
const meOf = ({ name, role, csrf }) => ({ name, role, csrf });

function open({ station }, user) {
  const secret = `s${Math.random().toString(36).slice(2)}`;
  const known = { ...user, csrf: `c${secret}` };
  station.sessions.set(secret, known);
  return { content: meOf(known), headers: { "Set-Cookie": `blemish_session=${secret}; HttpOnly; SameSite=Strict; Path=/` } };
}

function find(asked, items, id) {
  return items.find((each) => each.id === Number(id)) ?? asked.refuse(404, `There is no ${id}.`);
}

/** A line with what only its process knows; others than admins do not see its source. */
function shown({ station: { inspections }, user }, line) {
  const of = inspections.filter((each) => each.line_id === line.id);
  const last_hour = Object.fromEntries(["OK", "REVIEW", "NG", "ERROR"].map((verdict) => [verdict, of.filter((each) => each.verdict === verdict).length]));
  const live = line.state === "running" ? { state: "running", seq: of.length, bundle: line.bundle_id, parts_per_s: 0.7, p99_ms: 38.2, queue: 0 } : null;
  return { ...line, source: user.role === "admin" ? line.source : null, source_kind: line.source?.kind ?? null, live, behind: live ? 0 : null, last_hour };
}

const reviewOf = (station, id) => station.reviews.findLast((each) => each.inspection_id === id) ?? null;

function summary(station, { doc, runtime, ms, ...rest }) {
  return { ...rest, review: reviewOf(station, rest.id) };
}

function inspections({ station, url: { searchParams: q } }) {
  const [verdict, name, lot, serial, bundle, from, to] = ["verdict", "class", "lot", "serial", "bundle", "from", "to"].map((key) => q.get(key));
  const all = station.inspections.filter((each) => (!verdict || each.verdict === verdict) && (!name || each.classes.includes(name)) && (!lot || each.lot === lot) && (!serial || each.serial === serial) && (!bundle || each.bundle_id === bundle) && (!from || each.at >= from) && (!to || each.at < to)).reverse();
  const start = Number(q.get("cursor") ?? 0);
  const limit = Number(q.get("limit") ?? 50);
  return { items: all.slice(start, start + limit).map((each) => summary(station, each)), next: start + limit < all.length ? String(start + limit) : null };
}

function review(asked, id) {
  const { station, body, user } = asked;
  const holds = reviewOf(station, Number(id));
  if ((body.supersedes ?? null) !== (holds?.id ?? null)) asked.refuse(409, "Somebody else has reviewed this part. Look at their verdict, then supersede it.", { current: holds, yours: body });
  station.reviews.push({ id: station.nextId++, inspection_id: Number(id), by: user.name, at: now(), reason_code: null, comment: null, blind: false, supersedes: null, ...body });
  note(asked, "review");
  return created(station.reviews.at(-1));
}

function imageOf(asked, sha) {
  return asked.station.inspections.find((each) => each.image.sha256 === sha) ?? asked.refuse(404, `There is no image ${sha}.`);
}

function levels({ width, height }) {
  let count = 1;
  for (let longest = Math.max(width, height); longest > 512; longest = Math.ceil(longest / 2)) count++;
  return count;
}

function stored(station, sha) {
  if (!station.annotations.has(sha)) station.annotations.set(sha, [{ version: 0, by: "", at: null, items: [] }]);
  return station.annotations.get(sha);
}

function annotate(asked, sha) {
  const { station, body, user, headers } = asked;
  const versions = stored(station, sha);
  const { by, at, ...current } = versions.at(-1);
  const base = Number(/\d+/.exec(headers["if-match"] ?? "")?.[0] ?? NaN);
  if (base !== current.version) asked.refuse(409, `Somebody has annotated this image meanwhile: it is at version ${current.version}, yours began at ${base}.`, { current, yours: { version: base, ...body } });
  const known = new Set(current.items.map(({ id }) => id));
  for (const item of body.items) if (item.id !== null && !known.has(item.id)) asked.refuse(422, `Annotation ${item.id} is none of version ${base} of this image, or is given twice.`);
  const version = base + 1;
  const items = body.items.map((item) => ({ ...item, id: item.id ?? station.nextId++, version, by: user.name, at: now() }));
  versions.push({ version, items, by: user.name, at: now() });
  note(asked, "annotate");
  return { version, items };
}

function addJob({ station, user }, { kind, ...args }) {
  station.jobs.unshift({ id: station.nextId++, kind, args, state: "running", attempt: 1, progress: 0, total: 40, message: "training", result: null, by: user.name, has_report: false, created_at: now(), started_at: now(), ended_at: null });
  return station.jobs[0];
}

function tick(job) {
  if (job.state !== "running") return job;
  job.progress = Math.min(job.total, Math.floor((Date.now() - Date.parse(job.started_at)) / 150));
  if (job.progress === job.total) Object.assign(job, { state: "done", ended_at: now(), message: "Done.", result: { bundle_id: "severity-5ca1ab1e0002" } });
  return job;
}

function note({ station, user, body, path }, action) {
  station.audit.push({ id: station.audit.length + 1, at: now(), who: user.name, address: "127.0.0.1", action, object: path.slice(1), before: null, after: body, why: body.why ?? "", hash: "0".repeat(64) });
}
