/** One request of the API, with the session's CSRF token; errors as one clear line. */
import { me, offline } from "../state";

export const ROOT = "/api/v1";

/** A request that was refused. body: the whole answer, which for a conflict holds the other state */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly id: string,
    readonly body: Record<string, unknown>,
    readonly retryAfter: number | null,
  ) {
    super(message);
  }
}

export type Values = Record<string, string | number | boolean | null | undefined>;

export type Options = { query?: Values; body?: unknown; headers?: Record<string, string>; signal?: AbortSignal };

/** Address of a route of the API with its query; values that are empty are left out. */
export function address(path: string, query: Values = {}): string {
  const kept = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const search = new URLSearchParams(kept.map(([key, value]) => [key, String(value)]));
  return `${ROOT}${path}${kept.length > 0 ? `?${search}` : ""}`;
}

/** Sends a request and returns the answer's JSON; null for one without content. Raises ApiError. */
export async function call<T>(method: string, path: string, { query, body, headers, signal }: Options = {}): Promise<T> {
  const raw = body instanceof Blob || body instanceof FormData;
  let answer: Response;
  try {
    answer = await fetch(address(path, query), {
      method,
      signal: signal ?? null,
      credentials: "same-origin",
      headers: {
        ...(me.value && method !== "GET" ? { "X-CSRF-Token": me.value.csrf } : {}),
        ...(body === undefined || raw ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      body: body === undefined ? null : raw ? (body as BodyInit) : JSON.stringify(body),
    });
  } catch (error) {
    if ((error as Error).name !== "AbortError") offline.value = true;
    throw error;
  }
  offline.value = false;
  const text = await answer.text();
  const isJson = (answer.headers.get("content-type") ?? "").includes("json");
  const content = isJson && text ? JSON.parse(text) : text || null;
  if (answer.ok) return content as T;
  if (answer.status === 401 && me.value) me.value = null;
  const fields = (isJson ? content : {}) as Record<string, unknown>;
  const wait = answer.headers.get("retry-after");
  throw new ApiError(
    answer.status,
    String(fields.error ?? answer.statusText),
    String(fields.id ?? ""),
    fields,
    wait ? Number(wait) : null,
  );
}
