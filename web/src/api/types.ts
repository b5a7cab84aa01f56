/** What the API gives and takes, as far as the page uses it. */
import type { Box, Point, Shape } from "../viewer/geometry";

export type Verdict = "OK" | "REVIEW" | "NG" | "ERROR";
export type Role = "viewer" | "operator" | "engineer" | "admin";
export type JobKind = "train" | "add_class" | "export" | "evaluate" | "compare";
export type JobState = "queued" | "running" | "done" | "failed" | "cancelled";

export type Page<T> = { items: T[]; next: string | null };

export type Me = { name: string; role: Role; csrf: string };

export type User = { id: number; name: string; role: Role; active: boolean; locked_until: string | null; created_at: string };

export type LineState = "running" | "held" | "stopped";

/** A line. live: as its process tells, null where it does not answer; behind: parts that the record lacks yet */
export type Line = {
  id: number;
  name: string;
  state: LineState;
  source_kind: string | null;
  bundle_id: string | null;
  shadow_bundle_id: string | null;
  live: { state: string; seq: number; bundle: string | null; parts_per_s: number | null; p99_ms: number | null } | null;
  behind: number | null;
  fault: string | null;
  last_hour: Record<string, number>;
};

/** A defect as the inspection's document has it. */
export type Defect = {
  label: string;
  confidence: number;
  box_xyxy: Box;
  contour: Point[][];
  area: number;
  severity?: { mean: number; max: number };
  mm?: { length: number; width: number; area: number };
};

export type InspectionDoc = { defects: Defect[]; reasons?: string[]; error: string | null; size: [number, number] | null };

export type ImageSummary = {
  sha256: string;
  height: number | null;
  width: number | null;
  channels: number | null;
  dtype: string | null;
  kept: boolean;
};

/** An image with its pyramid, whose last level is the image itself. */
export type ImageInFull = ImageSummary & { levels: number; tile_size: number };

export type Review = {
  id: number;
  inspection_id: number;
  by: string;
  at: string;
  verdict: "OK" | "NG";
  comment: string | null;
  seconds: number | null;
  blind: boolean;
  supersedes: number | null;
};

/** An inspection. verdict: null for a blind review, which must not know it */
export type Inspection = {
  id: number;
  line_id: number;
  seq: number;
  at: string;
  serial: string;
  lot: string;
  verdict: Verdict | null;
  score: number | null;
  grade: string | null;
  bundle_id: string;
  decision_revision: number | null;
  num_defects: number;
  classes: string[];
  image: ImageSummary | null;
  answered_ms: number | null;
  answered_via: string | null;
  shadow: boolean;
  audit: boolean;
  review: Review | null;
};

export type InspectionInFull = Inspection & {
  doc: InspectionDoc;
  runtime: Record<string, unknown>;
  ms: Record<string, number>;
  newer: number | null;
  older: number | null;
};

export type ReviewBody = {
  verdict: "OK" | "NG";
  comment?: string | null;
  seconds?: number;
  blind?: boolean;
  supersedes?: number | null;
};

export type QueueItem = { inspection: Inspection; blind: boolean; until: string; waiting: number };

export type MaskShape = { kind: "mask"; box: Box; counts: number[] };
export type Source = "person" | "machine" | "import";

export type AnnotationBody = { id: number | null; class_id: number; shape: Shape | MaskShape; source: Source };
export type Annotation = AnnotationBody & { id: number; version: number; by: string; at: string };

/** A version of an image's annotations as a whole; version 0: nobody has annotated it. */
export type AnnotationSet = { version: number; items: Annotation[] };

export type ClassLimit = { measure: string; unit: string; review: number | null; ng: number | null };

export type DefectClass = {
  id: number;
  name: string;
  colour: string;
  definition: string;
  limit: ClassLimit | null;
  example_id: string | null;
  counter_example_id: string | null;
  retired_at: string | null;
};

export type ClassBody = Omit<DefectClass, "id" | "retired_at">;

export type Dataset = {
  id: number;
  name: string;
  frozen_at: string | null;
  fingerprint: string | null;
  by: string;
  num_images: Record<string, number>;
  created_at: string;
};

export type Job = {
  id: number;
  kind: JobKind;
  args: Record<string, unknown>;
  state: JobState;
  attempt: number;
  progress: number | null;
  total: number | null;
  message: string | null;
  result: Record<string, unknown> | null;
  by: string | null;
  has_report: boolean;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
};

/** A bundle. certificate: that an export answers as what it was exported from */
export type Bundle = {
  id: string;
  method: string;
  class_names: string[];
  runtime: string;
  precision: string | null;
  has_certificate: boolean;
  certificate_passed: boolean | null;
  decision_revision: number | null;
  parent_id: string | null;
  job_id: number | null;
  dataset_id: number | null;
  bytes: number;
  created_at: string;
  retired_at: string | null;
};

/** A share, n of so many, with its exact one-sided 95 % bounds. */
export type Rate = { n: number; of: number; lower95: number; upper95: number };

/** An image that the two pass and do not pass. defective: as people say, null where nobody has said */
export type Flip = {
  sha256: string;
  defective: boolean | null;
  a: { verdict: Verdict; score: number | null };
  b: { verdict: Verdict; score: number | null };
  better: "a" | "b" | null;
};

export type ComparisonDoc = {
  images: number;
  labelled: number;
  table: { both_right: number; only_a_right: number; only_b_right: number; both_wrong: number };
  p_value: number;
  a: { escapes: Rate; overkill: Rate };
  b: { escapes: Rate; overkill: Rate };
  num_flips: number;
  flips: Flip[];
};

export type Comparison = { id: number; a: string; b: string; dataset_id: number | null; doc: ComparisonDoc; at: string };

export type AuditEntry = {
  id: number;
  at: string;
  who: string;
  action: string;
  object: string;
  before: unknown;
  after: unknown;
  why: string;
};

/** A live record: the verdict of a part, and the picture that belongs to it. */
export type LivePart = {
  seq: number;
  serial: string;
  lot: string;
  at: string;
  verdict: Verdict;
  score: number | null;
  error: string | null;
  defects: Defect[];
  num_defects: number;
};

/** Outcome of a replay. notes: on another runtime, processor or version */
export type Replay = { same: boolean; differences: { field: string; text: string }[]; notes: string[] };

/** What a line runs from a moment on. */
export type Promotion = { id: number; bundle_id: string | null; kind: "promote" | "rollback" | "shadow"; by: string | null; why: string; at: string };
