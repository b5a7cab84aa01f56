/** What the API gives and takes: made from its OpenAPI, and what that leaves open said more closely. */
import type { Box, Point, Shape } from "../viewer/geometry";
import type { components } from "./schema";

type Schemas = components["schemas"];
type With<T, Closer> = Omit<T, keyof Closer> & Closer;

export type Page<T> = { items: T[]; next: string | null };

export type Verdict = "OK" | "REVIEW" | "NG" | "ERROR";
export type Me = Schemas["Me"];
export type Role = Me["role"];
export type User = Schemas["User"];
export type Token = Schemas["Token"];
export type TokenMade = Schemas["TokenMade"];
export type LineBody = Schemas["LineBody"];
/** Where a line's parts come from; null: from requests alone. */
export type Source = NonNullable<LineBody["source"]>;
export type Line = With<Schemas["Line"], { source: Source | null; keep: NonNullable<LineBody["keep"]> }>;
export type ImageSummary = Schemas["Image"];
export type ImageInFull = Schemas["ImageInFull"];
export type Review = Schemas["Review"];
export type Inspection = Schemas["Inspection"];
/** A part of the review queue; its outlines are in the inspection's document. */
export type QueueItem = Omit<Schemas["QueueItem"], "defects">;
export type Replay = Schemas["Replayed"];
export type Bundle = Schemas["Bundle"];
export type Promotion = Schemas["Promotion"];
export type Dataset = Schemas["Dataset"];
export type AuditEntry = Schemas["AuditEntry"];
export type Job = Schemas["Job"];
export type JobKind = Job["kind"];
export type JobState = Job["state"];
export type ClassLimit = { measure: string; unit: string; review: number | null; ng: number | null };
export type DefectClass = With<Schemas["DefectClass"], { limit: ClassLimit | null }>;
export type ClassBody = Omit<DefectClass, "id" | "retired_at">;
/** What is asked of a job; its OpenAPI says more of each kind. */
export type JobBody = { kind: JobKind } & Record<string, unknown>;

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

/** An inspection as the line wrote it. */
export type InspectionDoc = { defects: Defect[]; reasons?: string[]; error: string | null };
export type InspectionInFull = With<Schemas["InspectionInFull"], { doc: InspectionDoc }>;

export type MaskShape = { kind: "mask"; box: Box; counts: number[] };
export type AnnotationBody = { id: number | null; class_id: number; shape: Shape | MaskShape; source: Schemas["Annotation"]["source"] };
export type Annotation = AnnotationBody & { id: number };

/** A version of an image's annotations as a whole; version 0: nobody has annotated it. */
export type AnnotationSet = { version: number; items: Annotation[] };

/** A share, n of so many, with its exact one-sided 95 % bounds. */
export type Rate = { n: number; of: number; lower95: number; upper95: number };

/** An image that one of two bundles passes and the other does not. defective: null where nobody has said */
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
export type Comparison = With<Schemas["Comparison"], { doc: ComparisonDoc }>;

/** A live record: the verdict of a part. */
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
