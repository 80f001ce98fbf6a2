// Data that keeps itself fresh: by asking again, and by server-sent events.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError, address } from "./api";

export type Data<T> = {
  data: T | undefined;
  error: ApiError | undefined;
  loading: boolean;
  reload: () => void;
  soon: () => void;
  set: (data: T) => void;
};

function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(0, "INTERNAL", String(error));
}

// Loads when the key changes, and every so many milliseconds while somebody looks. What was there stays until the new is, unless it was of
// another key. What a server does not do is not asked for again.
export function useData<T>(key: string | null, load: (signal: AbortSignal) => Promise<T>, everyMs = 0): Data<T> {
  const [state, setState] = useState<{ key: string | null; data?: T; error?: ApiError; loading: boolean }>({ key: null, loading: true });
  const [turn, setTurn] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    if (key === null) return;
    const abort = new AbortController();
    let timer = 0;
    let stopped = false;
    const again = () => {
      if (everyMs && !stopped) timer = window.setTimeout(run, everyMs);
    };
    const run = async () => {
      if (document.hidden) return again();
      try {
        const data = await latest.current(abort.signal);
        if (stopped) return;
        setState({ key, data, loading: false });
      } catch (error) {
        if (stopped) return;
        const problem = asApiError(error);
        stopped = problem.absent;
        setState(
          (before) => ({ key, data: before.key === key ? before.data : undefined, error: problem, loading: false }) as typeof before,
        );
      }
      again();
    };
    const seen = () => {
      if (everyMs && !document.hidden && !stopped) {
        clearTimeout(timer);
        void run();
      }
    };
    setState((before) => (before.key === key ? before : { key, loading: true }));
    void run();
    document.addEventListener("visibilitychange", seen);
    return () => {
      stopped = true;
      clearTimeout(timer);
      abort.abort();
      document.removeEventListener("visibilitychange", seen);
    };
  }, [key, everyMs, turn]);
  const reload = useCallback(() => setTurn((before) => before + 1), []);
  // Many events at once ask once.
  const waiting = useRef(0);
  const soon = useCallback(() => {
    waiting.current ||= window.setTimeout(() => {
      waiting.current = 0;
      reload();
    }, 250);
  }, [reload]);
  useEffect(() => () => clearTimeout(waiting.current), []);
  const set = useCallback((data: T) => setState((before) => ({ ...before, data })), []);
  const current = state.key === key;
  return {
    data: current ? state.data : undefined,
    error: current ? state.error : undefined,
    loading: key !== null && (!current || state.loading),
    reload,
    soon,
    set,
  };
}

export type Stream = "connecting" | "live" | "cut" | "ended";

// Follows a watch route from `after` on, over cuts, and while the page is hidden not at all: a browser opens few connections to one host, and
// all tabs share them. `last` says of an event that no more will come.
export function useEvents<T extends { sequence: number }>(
  path: string | null,
  onEvent: (event: T) => void,
  last: (event: T) => boolean,
  after = 0,
): Stream {
  const [state, setState] = useState<Stream>("connecting");
  const handlers = useRef({ onEvent, last });
  handlers.current = { onEvent, last };
  useEffect(() => {
    if (path === null) return;
    let source: EventSource | undefined;
    let sequence = after;
    let timer = 0;
    let patience = 1000;
    let ended = false;
    const close = () => {
      clearTimeout(timer);
      source?.close();
      source = undefined;
    };
    const open = () => {
      close();
      if (document.hidden || ended) return;
      const mine = new EventSource(address(path, { afterSequence: sequence }));
      source = mine;
      mine.onopen = () => setState("live");
      mine.onmessage = (message) => {
        const event = JSON.parse(message.data) as T;
        patience = 1000;
        sequence = Math.max(sequence, event.sequence);
        ended = ended || handlers.current.last(event);
        handlers.current.onEvent(event);
        if (ended) {
          close();
          setState("ended");
        }
      };
      mine.onerror = () => {
        if (ended) return;
        setState("cut");
        // It comes back by itself, unless it was told to stay away.
        if (mine.readyState === EventSource.CLOSED) {
          timer = window.setTimeout(open, patience);
          patience = Math.min(patience * 2, 30000);
        }
      };
    };
    const seen = () => (document.hidden ? close() : source || open());
    setState("connecting");
    open();
    document.addEventListener("visibilitychange", seen);
    return () => {
      ended = true;
      close();
      document.removeEventListener("visibilitychange", seen);
    };
  }, [path]);
  return state;
}

// The time, anew every so many milliseconds.
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
