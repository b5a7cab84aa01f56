/** Annotations between the API's form and that of the drawing. */
import { classes } from "../state";
import { T } from "../texts";
import type { Item } from "../viewer/document";
import type { Shape, Size } from "../viewer/geometry";
import { Mask } from "../viewer/mask";
import type { Annotation, AnnotationBody, Defect } from "./types";

/** Item of a stored annotation. */
export function itemOf({ id, class_id, shape, source }: Annotation, size: Size): Item {
  const class_name = classes.value.find((each) => each.id === class_id)?.name ?? `#${class_id}`;
  const mask = shape.kind === "mask" ? Mask.fromColumns(size, shape) : null;
  return { key: `row-${id}`, id, class_name, shape: mask ? null : (shape as Shape), mask, source };
}

/** Annotation of an item, as it is sent; null for an empty mask. Raises Error for a class that is not in the catalogue. */
export function annotationOf({ id, class_name, shape, mask, source }: Item): AnnotationBody | null {
  const known = classes.value.find((each) => each.name === class_name);
  if (!known) throw new Error(T.draw.unknownClass(class_name));
  const columns = mask?.columns();
  if (mask && !columns) return null;
  return { id, class_id: known.id, shape: columns ? { kind: "mask", ...columns } : shape!, source };
}

/** Shape of what the machine found: its outlines, else its box. */
export function shapeOf(defect: Defect): Shape {
  const rings = defect.contour.filter((ring) => ring.length > 2);
  return rings.length > 0 ? { kind: "polygon", rings } : { kind: "box", box: defect.box_xyxy };
}
