// Addresses behind the #, so that the gateway serves one page and every view can be linked to.
import { useEffect, useState } from "preact/hooks";

export type Route = { path: string[]; query: URLSearchParams };

function parse(): Route {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  return { path: path.split("/").filter(Boolean).map(decodeURIComponent), query: new URLSearchParams(query) };
}

export function useRoute(): Route {
  const [route, setRoute] = useState(parse);
  useEffect(() => {
    const changed = () => setRoute(parse());
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return route;
}

export function to(...parts: string[]): string {
  return `#/${parts.map(encodeURIComponent).join("/")}`;
}

export function go(address: string) {
  location.hash = address;
}

// Changes what stands behind the ? without a new entry in the history for every letter typed.
export function setQuery(query: URLSearchParams) {
  const [path] = location.hash.split("?", 1);
  const text = query.toString();
  history.replaceState(null, "", (path || "#/") + (text ? `?${text}` : ""));
  dispatchEvent(new HashChangeEvent("hashchange"));
}
