// The steps of a plan as a graph: what waits for what, from left to right, and how far each is.
import { words } from "./format";
import type { PlanStep, StepRun } from "./types";

const size = { width: 198, height: 62, across: 44, down: 18, edge: 10, lane: 14 };

type Node = { step: PlanStep; x: number; y: number };
type Point = { x: number; y: number };
// A place in a column: a step, or the lane of an edge that goes past.
type Slot = { id: string; step: PlanStep | undefined; from: string[] };

// Each step stands right behind the last of those it waits for.
export function layers(steps: PlanStep[]): PlanStep[][] {
  const depth = new Map<string, number>();
  const known = new Map(steps.map((step) => [step.id, step]));
  const depthOf = (step: PlanStep, seen: Set<string>): number => {
    const before = depth.get(step.id);
    if (before !== undefined) return before;
    if (seen.has(step.id)) return 0;
    seen.add(step.id);
    const needed = step.dependencies.flatMap((id) => known.get(id) ?? []);
    const mine = needed.length ? 1 + Math.max(...needed.map((one) => depthOf(one, seen))) : 0;
    depth.set(step.id, mine);
    return mine;
  };
  const result: PlanStep[][] = [];
  for (const step of [...steps].sort((a, b) => a.order - b.order)) {
    const at = depthOf(step, new Set());
    while (result.length <= at) result.push([]);
    result[at]?.push(step);
  }
  return result;
}

type Drawing = { nodes: Map<string, Node>; lanes: Map<string, Point[]>; width: number; height: number };

function place(steps: PlanStep[]): Drawing {
  const columns: Slot[][] = layers(steps).map((column) => column.map((step) => ({ id: step.id, step, from: step.dependencies })));
  const depth = new Map(columns.flatMap((column, at) => column.map((slot) => [slot.id, at] as const)));
  // An edge over several columns gets a lane in each of those between, so that it crosses no step.
  const passes = new Map<string, string[]>();
  for (const step of steps) {
    for (const id of step.dependencies) {
      const [first, last] = [depth.get(id), depth.get(step.id)];
      if (first === undefined || last === undefined) continue;
      const through: string[] = [];
      for (let at = first + 1; at < last; at++) {
        const lane = `${id} ${step.id} ${at}`;
        columns[at]?.push({ id: lane, step: undefined, from: [through[through.length - 1] ?? id] });
        through.push(lane);
      }
      passes.set(`${id} ${step.id}`, through);
    }
  }
  const tall = (slot: Slot) => (slot.step ? size.height : size.lane);
  const heights = columns.map((column) => column.reduce((sum, slot) => sum + tall(slot) + size.down, -size.down));
  const height = Math.max(size.height, ...heights);
  const middle = new Map<string, Point>();
  const nodes = new Map<string, Node>();
  columns.forEach((column, at) => {
    // Each as near as may be to what it comes from.
    const wish = (slot: Slot) => {
      const from = slot.from.flatMap((id) => middle.get(id)?.y ?? []);
      return from.length ? from.reduce((sum, y) => sum + y, 0) / from.length : 0;
    };
    const sorted = at === 0 ? column : [...column].sort((one, other) => wish(one) - wish(other));
    const x = size.edge + at * (size.width + size.across);
    let y = size.edge + (height - (heights[at] ?? 0)) / 2;
    for (const slot of sorted) {
      middle.set(slot.id, { x, y: y + tall(slot) / 2 });
      if (slot.step) nodes.set(slot.id, { step: slot.step, x, y });
      y += tall(slot) + size.down;
    }
  });
  const lanes = new Map([...passes].map(([edge, through]) => [edge, through.flatMap((id) => middle.get(id) ?? [])]));
  const width = columns.length * size.width + Math.max(0, columns.length - 1) * size.across;
  return { nodes, lanes, width: width + 2 * size.edge, height: height + 2 * size.edge };
}

function curve(from: Point, to: Point): string {
  const bend = Math.max(18, (to.x - from.x) / 2);
  return `C${from.x + bend} ${from.y} ${to.x - bend} ${to.y} ${to.x} ${to.y}`;
}

// From the right side of one step along its lanes to the left side of the other.
function line(from: Node, to: Node, lanes: Point[]): string {
  let at = { x: from.x + size.width, y: from.y + size.height / 2 };
  let path = `M${at.x} ${at.y}`;
  for (const lane of lanes) {
    path += `${curve(at, lane)}h${size.width}`;
    at = { x: lane.x + size.width, y: lane.y };
  }
  return path + curve(at, { x: to.x - 1, y: to.y + size.height / 2 });
}

// At most two lines of so many letters.
function lines(text: string, most = 22): string[] {
  const result: string[] = [""];
  for (const word of text.split(/\s+/)) {
    const last = result[result.length - 1] ?? "";
    if (last && last.length + 1 + word.length > most) result.push(word);
    else result[result.length - 1] = last ? `${last} ${word}` : word;
  }
  if (result.length > 2) result.splice(1, result.length, `${result[1]}…`);
  return result.map((line) => (line.length > most + 1 ? `${line.slice(0, most)}…` : line));
}

export function Graph({ steps, runs = [], onPick }: { steps: PlanStep[]; runs?: StepRun[]; onPick?: (id: string) => void }) {
  const { nodes, lanes, width, height } = place(steps);
  const stateOf = new Map(runs.map((run) => [run.stepId, run]));
  const said = steps.map((step) => {
    const run = stateOf.get(step.id);
    const needs = step.dependencies.flatMap((id) => nodes.get(id)?.step.name ?? []);
    return `${step.name}${run ? `, ${words(run.status).toLowerCase()}` : ""}${needs.length ? `, after ${needs.join(" and ")}` : ""}`;
  });
  return (
    // Wider than the page, it is scrolled; the keyboard must be able to.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: see above
    <section class="graph" tabIndex={0} aria-label="Steps, from left to right">
      <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={said.join("; ")}>
        <defs>
          <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
            <path d="M0 0L8 4L0 8z" class="head" />
          </marker>
        </defs>
        {[...nodes.values()].flatMap((node) =>
          node.step.dependencies.flatMap((id) => {
            const from = nodes.get(id);
            if (!from) return [];
            const done = stateOf.get(id)?.status === "SUCCEEDED";
            return [
              <path
                key={`${id} ${node.step.id}`}
                class={done ? "edge done" : "edge"}
                d={line(from, node, lanes.get(`${id} ${node.step.id}`) ?? [])}
                marker-end="url(#arrow)"
              />,
            ];
          }),
        )}
        {[...nodes.values()].map(({ step, x, y }) => {
          const run = stateOf.get(step.id);
          const name = lines(step.name);
          const state = run && run.status !== "PENDING" ? words(run.status) : step.automated ? "By itself" : "By a person";
          return (
            // The list of steps below does the same for the keyboard.
            // biome-ignore lint/a11y/noStaticElementInteractions: see above
            <g key={step.id} class={`node ${run?.status ?? ""}`} transform={`translate(${x} ${y})`} onClick={() => onPick?.(step.id)}>
              <rect width={size.width} height={size.height} rx="9" />
              {run?.status === "RUNNING" && <rect class="part" width={(size.width * run.percent) / 100} height="4" y={size.height - 4} />}
              <circle cx="16" cy={name.length > 1 ? 19 : 22} r="5" />
              {name.map((line, index) => (
                <text key={line} x="29" y={(name.length > 1 ? 23 : 26) + index * 15} class="name">
                  {line}
                </text>
              ))}
              <text x="29" y={size.height - (name.length > 1 ? 9 : 13)} class="state">
                {state}
              </text>
            </g>
          );
        })}
      </svg>
    </section>
  );
}
