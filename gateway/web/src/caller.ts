// Who is signed in, and what he may do: the server says which calls it would let through, and the page offers no others.
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Caller } from "./types";

export const CallerContext = createContext<Caller>({ name: "", role: "", rights: [], calls: [] });

export function useMay(): (call: string) => boolean {
  const caller = useContext(CallerContext);
  return (call) => caller.calls.includes(call);
}
