// The steps of a plan as a graph: what waits for what, from left to right, and how far each is.
import { words } from "./format";
import type { PlanStep, StepRun } from "./types";

const size = { width: 178, height: 62, across: 46, down: 18, edge: 10 };

type Node = { step: PlanStep; x: number; y: number };

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

function place(steps: PlanStep[]): { nodes: Map<string, Node>; width: number; height: number } {
  const columns = layers(steps);
  const tallest = Math.max(1, ...columns.map((column) => column.length));
  const height = tallest * size.height + (tallest - 1) * size.down;
  const nodes = new Map<string, Node>();
  columns.forEach((column, at) => {
    const mine = column.length * size.height + (column.length - 1) * size.down;
    column.forEach((step, row) => {
      nodes.set(step.id, {
        step,
        x: size.edge + at * (size.width + size.across),
        y: size.edge + (height - mine) / 2 + row * (size.height + size.down),
      });
    });
  });
  const width = columns.length * size.width + Math.max(0, columns.length - 1) * size.across;
  return { nodes, width: width + 2 * size.edge, height: height + 2 * size.edge };
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
  const { nodes, width, height } = place(steps);
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
            const [x1, y1, x2, y2] = [from.x + size.width, from.y + size.height / 2, node.x - 1, node.y + size.height / 2];
            const bend = Math.max(20, (x2 - x1) / 2);
            const done = stateOf.get(id)?.status === "SUCCEEDED";
            return [
              <path
                key={`${id} ${node.step.id}`}
                class={done ? "edge done" : "edge"}
                d={`M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`}
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
