// How much the repository holds, and will hold, day by day.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { bytes, day } from "./format";
import type { Analytics, Time } from "./types";

// Round numbers of bytes: 1, 2, 4, … KiB, MiB and so on.
const steps = Array.from({ length: 50 }, (_, power) => 2 ** power);

type Series = [number[], (number | null)[], (number | null)[]];

// The past is counted back from what there is now; the forecast goes on to the day the storage is full, at most as far as the past reaches.
function series(points: Analytics["points"], now: number, most: number, fullAt: Time): Series {
  // What lies before the first backup says nothing.
  const first = Math.max(0, Math.min(points.findIndex((point) => point.backups > 0) - 1, points.length - 2));
  const days = points
    .slice(first)
    .filter((point) => point.day)
    .map((point) => [Date.parse(point.day as string) / 1000, point.bytesWritten] as const);
  days.sort((a, b) => a[0] - b[0]);
  let held = now;
  const past: [number, number][] = [];
  for (const [time, written] of [...days].reverse()) {
    past.unshift([time, Math.max(held, 0)]);
    held -= written;
  }
  const times = past.map(([time]) => time);
  const values: (number | null)[] = past.map(([, value]) => value);
  const forecast: (number | null)[] = past.map((_, index) => (index === past.length - 1 ? now : null));
  const last = times[times.length - 1] ?? 0;
  const full = fullAt ? Date.parse(fullAt) / 1000 : 0;
  if (full > last) {
    const end = Math.min(full, last + Math.max(last - (times[0] ?? last), 7 * 86400));
    times.push(end);
    values.push(null);
    forecast.push(now + ((most - now) * (end - last)) / (full - last));
  }
  return [times, values, forecast];
}

export function StorageChart({ points, now, most, fullAt }: { points: Analytics["points"]; now: number; most: number; fullAt: Time }) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot>();
  const data = series(points, now, most, fullAt);
  const latest = useRef(data);
  latest.current = data;
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const draw = () => {
      chart.current?.destroy();
      const style = getComputedStyle(element);
      const colour = (name: string) => style.getPropertyValue(name).trim();
      const axis = {
        stroke: colour("--muted"),
        font: `12px ${style.fontFamily}`,
        grid: { stroke: colour("--line"), width: 1 },
        ticks: { show: false },
      };
      chart.current = new uPlot(
        {
          tzDate: (time) => uPlot.tzDate(new Date(time * 1000), "Etc/UTC"),
          width: Math.max(element.clientWidth, 100),
          height: 170,
          legend: { show: false },
          cursor: { show: false },
          scales: { y: { range: (_, __, top) => [0, Math.max(top, 1) * 1.1] } },
          axes: [
            {
              ...axis,
              size: 28,
              incrs: [1, 2, 3, 5, 7, 10, 14, 30, 60].map((days) => days * 86400),
              // The server's days are those of UTC.
              values: (_, splits) =>
                splits.map((split) =>
                  new Date(split * 1000).toLocaleDateString(undefined, { day: "numeric", month: "short", timeZone: "UTC" }),
                ),
            },
            { ...axis, size: 76, incrs: steps, values: (_, splits) => splits.map((split) => bytes(split)) },
          ],
          series: [
            {},
            { stroke: colour("--accent"), width: 2, fill: colour("--accent-soft"), points: { show: false } },
            { stroke: colour("--muted"), width: 2, dash: [5, 5], points: { show: false } },
          ],
        },
        latest.current as uPlot.AlignedData,
        element,
      );
    };
    draw();
    const observer = new ResizeObserver(() => chart.current?.setSize({ width: Math.max(element.clientWidth, 100), height: 170 }));
    observer.observe(element);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", draw);
    return () => {
      observer.disconnect();
      scheme.removeEventListener("change", draw);
      chart.current?.destroy();
    };
  }, []);
  const drawn = JSON.stringify(data);
  useEffect(() => {
    chart.current?.setData(JSON.parse(drawn));
  }, [drawn]);
  const first = points[0]?.day;
  return (
    <figure class="chart">
      <div
        ref={box}
        role="img"
        aria-label={`What the repository holds${first ? `, since ${day(first)}` : ""}: now ${bytes(now)}${fullAt ? `, full on ${day(fullAt)}` : ""}.`}
      />
    </figure>
  );
}
