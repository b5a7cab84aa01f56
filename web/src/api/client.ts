/** Requests of the API, typed by its OpenAPI, with the session's CSRF token; errors as one clear line. */
import createClient from "openapi-fetch";
import { me, offline } from "../state";
import type { paths } from "./schema";

export const ROOT = "/api/v1";

/** A request that was refused. body: the whole answer, which for a conflict holds the other state */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly id: string,
    readonly body: Record<string, unknown>,
  ) {
    super(message);
  }
}

export type Values = Record<string, string | number | boolean | null | undefined>;

/** Entries of a query that are not empty. */
export function given(query: Values): Record<string, string> {
  const kept = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return Object.fromEntries(kept.map(([key, value]) => [key, String(value)]));
}

/** Address of something that the browser fetches by itself, such as a picture. */
export function address(path: string, query: Values = {}): string {
  const search = new URLSearchParams(given(query)).toString();
  return `${ROOT}${path}${search ? `?${search}` : ""}`;
}

export const client = createClient<paths>({
  baseUrl: "",
  credentials: "same-origin",
  fetch: async (request: Request) => {
    if (me.value && request.method !== "GET") request.headers.set("X-CSRF-Token", me.value.csrf);
    try {
      const answer = await fetch(request);
      offline.value = false;
      return answer;
    } catch (error) {
      offline.value = true;
      throw error;
    }
  },
});

type Answer<T> = { data?: T; error?: unknown; response: Response };

/** Content of an answer. Raises ApiError for one that refuses; without a session, nobody is logged in any more. */
export async function content<T>(asked: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await asked;
  if (response.ok) return data as T;
  if (response.status === 401 && me.value) me.value = null;
  const fields = (typeof error === "object" && error !== null ? error : {}) as Record<string, unknown>;
  throw new ApiError(response.status, String(fields.error ?? response.statusText), String(fields.id ?? ""), fields);
}
