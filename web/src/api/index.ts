/** The routes that the page uses, one function each. */
import { address, call, type Values } from "./client";
import type {
  AnnotationSet,
  AnnotationBody,
  AuditEntry,
  Bundle,
  ClassBody,
  Comparison,
  Dataset,
  DefectClass,
  ImageInFull,
  Inspection,
  InspectionInFull,
  Job,
  JobKind,
  Line,
  Me,
  Page,
  Promotion,
  QueueItem,
  Replay,
  Review,
  ReviewBody,
  Role,
  User,
} from "./types";

const get = <T>(path: string, query?: Values) => call<T>("GET", path, { query });
const post = <T>(path: string, body: unknown = {}) => call<T>("POST", path, { body });
const patch = <T>(path: string, body: unknown) => call<T>("PATCH", path, { body });

export const api = {
  health: () => get<{ status: string; version: string; needs_setup: boolean }>("/health"),
  me: () => get<Me>("/me"),
  setUp: (body: { code: string; name: string; password: string }) => post<Me>("/setup", body),
  logIn: (body: { name: string; password: string }) => post<Me>("/login", body),
  logOut: () => post<null>("/logout"),

  lines: () => get<Page<Line>>("/lines"),
  hold: (line: number) => post<Line>(`/lines/${line}/hold`),
  start: (line: number) => post<Line>(`/lines/${line}/start`),

  inspections: (query: Values) => get<Page<Inspection>>("/inspections", query),
  inspection: (id: number, query: Values = {}) => get<InspectionInFull>(`/inspections/${id}`, query),
  reviews: (id: number) => get<Page<Review>>(`/inspections/${id}/reviews`),
  review: (id: number, body: ReviewBody) => post<Review>(`/inspections/${id}/review`, body),
  replay: (id: number) => post<Replay>(`/inspections/${id}/replay`),
  next: (query: Values = {}) => get<{ item: QueueItem | null }>("/queue/next", query),

  image: (sha: string) => get<ImageInFull>(`/images/${sha}`),
  annotations: (sha: string) => get<AnnotationSet>(`/images/${sha}/annotations`),
  versions: (sha: string) => get<Page<{ version: number; by: string; at: string }>>(`/images/${sha}/annotations/versions`),
  annotate: (sha: string, version: number, items: readonly AnnotationBody[]) =>
    call<AnnotationSet>("PUT", `/images/${sha}/annotations`, { body: { items }, headers: { "If-Match": `"${version}"` } }),

  classes: () => get<Page<DefectClass>>("/classes"),
  addClass: (body: ClassBody) => post<DefectClass>("/classes", body),
  changeClass: (id: number, body: Partial<ClassBody> & { retired?: boolean }) => patch<DefectClass>(`/classes/${id}`, body),

  datasets: () => get<Page<Dataset>>("/datasets"),
  addDataset: (body: { name: string; choice: { lots: string[] } }) => post<Dataset>("/datasets", body),
  freeze: (id: number, body: { val_share: number; test_share: number }) => post<Dataset & { left_out: number }>(`/datasets/${id}/freeze`, body),

  jobs: (query: Values = {}) => get<Page<Job>>("/jobs", query),
  job: (id: number) => get<Job>(`/jobs/${id}`),
  jobLog: (id: number) => get<string>(`/jobs/${id}/log`),
  addJob: (args: { kind: JobKind } & Record<string, unknown>) => post<Job>("/jobs", args),
  cancelJob: (id: number) => post<Job>(`/jobs/${id}/cancel`),

  bundles: () => get<Page<Bundle>>("/bundles"),
  upload: (file: File) => {
    const body = new FormData();
    body.append("file", file);
    return call<Bundle>("POST", "/bundles", { body });
  },
  comparisons: () => get<Page<Comparison>>("/comparisons"),
  compare: (body: { a: string; b: string } & Record<string, unknown>) => post<{ comparison: Comparison | null; job: Job | null }>("/comparisons", body),
  promotions: (line: number) => get<Page<Promotion>>(`/lines/${line}/promotions`),
  promote: (line: number, body: { bundle_id: string; comparison_id: number | null; why: string }) => post<null>(`/lines/${line}/promote`, body),
  rollback: (line: number, why: string) => post<null>(`/lines/${line}/rollback`, { why }),
  shadow: (line: number, bundle_id: string | null, why: string) => post<null>(`/lines/${line}/shadow`, { bundle_id, why }),

  users: () => get<Page<User>>("/users"),
  addUser: (body: { name: string; password: string; role: Role }) => post<User>("/users", body),
  changeUser: (id: number, body: { role?: Role; active?: boolean; password?: string }) => patch<User>(`/users/${id}`, body),

  audit: (query: Values) => get<Page<AuditEntry>>("/audit", query),
  verify: () => get<{ whole: boolean; count: number; faults: { number: number | null; object: string; fault: string }[] }>("/audit/verify"),

  tile: (sha: string, level: number, x: number, y: number, query: Values = {}) => address(`/images/${sha}/tiles/${level}/${x}_${y}`, query),
  crop: (sha: string, query: Values) => address(`/images/${sha}/crop`, query),
  report: (job: number) => address(`/jobs/${job}/report`),
  coco: (dataset: number) => address(`/datasets/${dataset}/coco`),
};
