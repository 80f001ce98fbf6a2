// The REST API. The token is given away at sign-in for a cookie that no script can read; every call says that it means that session.

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }

  // The server is of a version, or set up so, that it does not do this.
  get absent(): boolean {
    return this.code === "UNIMPLEMENTED";
  }
}

type Envelope = {
  success: boolean;
  data?: unknown;
  message?: string;
  error?: string;
  code?: string;
  pagination?: { nextPageToken: string };
};

export type Query = Record<string, string | number | boolean | undefined>;
export type Page<T> = { items: T[]; next: string };

let onSignedOut = () => {};
export function whenSignedOut(then: () => void) {
  onSignedOut = then;
}

export function address(path: string, query: Query = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}` : path;
}

async function send(
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
  headers: Record<string, string> = {},
): Promise<Response> {
  const init: RequestInit = { method, headers: { "X-Mosaajii-Session": "1", ...headers }, credentials: "same-origin" };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { ...init.headers, "Content-Type": "application/json" };
  }
  if (signal) init.signal = signal;
  try {
    return await fetch(path, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "UNAVAILABLE", "The gateway cannot be reached. The page tries again by itself.");
  }
}

async function opened(response: Response): Promise<Envelope> {
  let envelope: Envelope;
  try {
    envelope = await response.json();
  } catch {
    throw new ApiError(response.status, "INTERNAL", `The gateway answered ${response.status} with something that is no JSON.`);
  }
  if (envelope.success) return envelope;
  if (response.status === 401) onSignedOut();
  throw new ApiError(response.status, envelope.code ?? "UNKNOWN", sentence(envelope.error ?? "The server gave no reason."));
}

// The server's sentences begin small and end without a full stop, as log lines do.
export function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(first) ? first : `${first}.`;
}

export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return (await opened(await send("GET", address(path, query), undefined, signal))).data as T;
}

export async function list<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<Page<T>> {
  const envelope = await opened(await send("GET", address(path, query), undefined, signal));
  return { items: (envelope.data ?? []) as T[], next: envelope.pagination?.nextPageToken ?? "" };
}

export async function post<T>(path: string, body: unknown = {}, signal?: AbortSignal): Promise<T> {
  return (await opened(await send("POST", path, body, signal))).data as T;
}

export async function put<T>(path: string, body: unknown): Promise<T> {
  return (await opened(await send("PUT", path, body))).data as T;
}

export async function patch<T>(path: string, body: unknown): Promise<T> {
  return (await opened(await send("PATCH", path, body))).data as T;
}

// What was done, in a sentence of the server's.
export async function remove(path: string): Promise<string> {
  return sentence((await opened(await send("DELETE", path))).message ?? "Done");
}

export async function act(path: string, body: unknown = {}): Promise<string> {
  return sentence((await opened(await send("POST", path, body))).message ?? "Done");
}

export async function content(path: string, query: Query): Promise<Blob> {
  const response = await send("GET", address(path, query));
  if (!response.ok) await opened(response);
  return response.blob();
}

export async function signIn(token: string): Promise<void> {
  await opened(await send("POST", "/api/session", undefined, undefined, { Authorization: `Bearer ${token}` }));
}

export async function signOut(): Promise<void> {
  await opened(await send("DELETE", "/api/session"));
}

export async function isSignedIn(): Promise<boolean> {
  return (await get<{ open: boolean }>("/api/session")).open;
}
