/** The routes that the page uses, one function each. */
import { address, client, content, given, type Values } from "./client";
import type { components, operations } from "./schema";
import type {
  AnnotationBody,
  AnnotationSet,
  ClassBody,
  Comparison,
  DefectClass,
  InspectionInFull,
  JobBody,
  Line,
  LineBody,
  Page,
  Role,
} from "./types";

type Schemas = components["schemas"];
type InspectionQuery = operations["inspections"]["parameters"]["query"];
const line = (line_id: number) => ({ params: { path: { line_id } } });
const job = (job_id: number) => ({ params: { path: { job_id } } });
const image = (sha256: string) => ({ params: { path: { sha256 } } });
const part = (inspection_id: number) => ({ params: { path: { inspection_id } } });

export const api = {
  health: () => content(client.GET("/api/v1/health")),
  me: () => content(client.GET("/api/v1/me")),
  setUp: (body: Schemas["SetupBody"]) => content(client.POST("/api/v1/setup", { body })),
  logIn: (body: Schemas["LoginBody"]) => content(client.POST("/api/v1/login", { body })),
  logOut: () => content(client.POST("/api/v1/logout")),

  tokens: () => content(client.GET("/api/v1/tokens")),
  addToken: (body: Schemas["NewToken"]) => content(client.POST("/api/v1/tokens", { body })),
  revokeToken: (token_id: number) => content(client.DELETE("/api/v1/tokens/{token_id}", { params: { path: { token_id } } })),

  lines: async () => (await content(client.GET("/api/v1/lines"))) as unknown as Page<Line>,
  addLine: (body: Schemas["NewLine"]) => content(client.POST("/api/v1/lines", { body })),
  changeLine: (id: number, body: LineBody) => content(client.PATCH("/api/v1/lines/{line_id}", { ...line(id), body })),
  hold: (id: number) => content(client.POST("/api/v1/lines/{line_id}/hold", line(id))),
  start: (id: number) => content(client.POST("/api/v1/lines/{line_id}/start", line(id))),
  stop: (id: number) => content(client.POST("/api/v1/lines/{line_id}/stop", line(id))),
  promotions: (id: number) => content(client.GET("/api/v1/lines/{line_id}/promotions", line(id))),
  promote: (id: number, body: Schemas["PromoteBody"]) => content(client.POST("/api/v1/lines/{line_id}/promote", { ...line(id), body })),
  rollback: (id: number, why: string) => content(client.POST("/api/v1/lines/{line_id}/rollback", { ...line(id), body: { why } })),
  shadow: (id: number, bundle_id: string | null, why: string) =>
    content(client.POST("/api/v1/lines/{line_id}/shadow", { ...line(id), body: { bundle_id, why } })),

  inspections: (query: Values) => content(client.GET("/api/v1/inspections", { params: { query: given(query) as InspectionQuery } })),
  inspection: async (inspection_id: number, query: Values = {}) => {
    const params = { path: { inspection_id }, query: given(query) as InspectionQuery };
    return (await content(client.GET("/api/v1/inspections/{inspection_id}", { params }))) as unknown as InspectionInFull;
  },
  reviews: (id: number) => content(client.GET("/api/v1/inspections/{inspection_id}/reviews", part(id))),
  review: (id: number, body: Partial<Schemas["ReviewBody"]> & { verdict: "OK" | "NG" }) =>
    content(client.POST("/api/v1/inspections/{inspection_id}/review", { ...part(id), body: { blind: false, ...body } })),
  replay: (id: number) => content(client.POST("/api/v1/inspections/{inspection_id}/replay", part(id))),
  next: (skip?: number) => content(client.GET("/api/v1/queue/next", { params: { query: skip === undefined ? {} : { skip } } })),

  image: (sha: string) => content(client.GET("/api/v1/images/{sha256}", image(sha))),
  annotations: async (sha: string) => (await content(client.GET("/api/v1/images/{sha256}/annotations", image(sha)))) as unknown as AnnotationSet,
  versions: (sha: string) => content(client.GET("/api/v1/images/{sha256}/annotations/versions", image(sha))),
  annotate: async (sha256: string, version: number, items: readonly AnnotationBody[]) => {
    const params = { path: { sha256 }, header: { "if-match": `"${version}"` } };
    const body = { items } as unknown as Schemas["AnnotationsBody"];
    return (await content(client.PUT("/api/v1/images/{sha256}/annotations", { params, body }))) as unknown as AnnotationSet;
  },

  classes: async () => (await content(client.GET("/api/v1/classes"))) as unknown as Page<DefectClass>,
  addClass: (body: ClassBody) => content(client.POST("/api/v1/classes", { body: body as Schemas["NewClass"] })),
  changeClass: (class_id: number, body: Partial<ClassBody> & { retired?: boolean }) =>
    content(client.PATCH("/api/v1/classes/{class_id}", { params: { path: { class_id } }, body: body as Schemas["ClassChange"] })),

  datasets: () => content(client.GET("/api/v1/datasets")),
  addDataset: (name: string, lots: string[]) => content(client.POST("/api/v1/datasets", { body: { name, choice: { lots, line_ids: [] } } })),
  freeze: (dataset_id: number, body: Schemas["FreezeBody"]) =>
    content(client.POST("/api/v1/datasets/{dataset_id}/freeze", { params: { path: { dataset_id } }, body })),

  jobs: () => content(client.GET("/api/v1/jobs")),
  job: (id: number) => content(client.GET("/api/v1/jobs/{job_id}", job(id))),
  jobLog: (id: number) => content(client.GET("/api/v1/jobs/{job_id}/log", { ...job(id), parseAs: "text" })) as Promise<string>,
  addJob: (body: JobBody) => content(client.POST("/api/v1/jobs", { body: body as Schemas["TrainArguments"] })),
  cancelJob: (id: number) => content(client.POST("/api/v1/jobs/{job_id}/cancel", job(id))),

  bundles: () => content(client.GET("/api/v1/bundles")),
  upload: (file: File) => {
    const form = new FormData();
    form.append("file", file);
    return content(client.POST("/api/v1/bundles", { body: { file: "" }, bodySerializer: () => form }));
  },
  comparisons: async () => (await content(client.GET("/api/v1/comparisons"))) as unknown as Page<Comparison>,
  compare: (body: Partial<Schemas["ComparisonBody"]> & { a: string; b: string }) =>
    content(client.POST("/api/v1/comparisons", { body: { split: "test", ...body } })),

  users: () => content(client.GET("/api/v1/users")),
  addUser: (body: { name: string; password: string; role: Role }) => content(client.POST("/api/v1/users", { body })),
  changeUser: (user_id: number, body: Schemas["UserChange"]) =>
    content(client.PATCH("/api/v1/users/{user_id}", { params: { path: { user_id } }, body })),

  audit: (query: Values) => content(client.GET("/api/v1/audit", { params: { query: given(query) } })),
  verify: () => content(client.GET("/api/v1/audit/verify")),

  tile: (sha: string, level: number, x: number, y: number, query: Values = {}) => address(`/images/${sha}/tiles/${level}/${x}_${y}`, query),
  crop: (sha: string, query: Values) => address(`/images/${sha}/crop`, query),
  report: (id: number) => address(`/jobs/${id}/report`),
  coco: (dataset: number) => address(`/datasets/${dataset}/coco`),
};
