// Numbers, times and words for people, in the viewer's language and zone.

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toLocaleString(undefined, { maximumFractionDigits: digits })} ${units[unit]}`;
}

export function count(value: number, one: string, many = `${one}s`): string {
  return `${value.toLocaleString()} ${value === 1 ? one : many}`;
}

// 3 s, 4 min 10 s, 2 h 5 min, 3 d 4 h.
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const parts: [number, string][] = [
    [Math.floor(whole / 86400), "d"],
    [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"],
    [whole % 60, "s"],
  ];
  const first = parts.findIndex(([value]) => value > 0);
  if (first < 0) return "0 s";
  return parts
    .slice(first, first + 2)
    .filter(([value]) => value > 0)
    .map(([value, unit]) => `${value} ${unit}`)
    .join(" ");
}

// 4:05, 1:02:09: a clock that does not jump.
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (value: number) => String(value).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  return hours ? `${hours}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}` : `${Math.floor(whole / 60)}:${two(whole % 60)}`;
}

const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const short = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const withYear = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});
const dayOnly = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const timeOnly = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export const exactly = (time: string) => full.format(new Date(time));
export const day = (time: string) => dayOnly.format(new Date(time));
export const timeOfDay = (time: string) => timeOnly.format(new Date(time));

export function moment(time: string): string {
  const date = new Date(time);
  return (date.getFullYear() === new Date().getFullYear() ? short : withYear).format(date);
}

const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

export function ago(time: string, now = Date.now()): string {
  const seconds = (Date.parse(time) - now) / 1000;
  const size = Math.abs(seconds);
  if (size < 45) return seconds > 0 ? "in a moment" : "just now";
  if (size < 3600) return relative.format(Math.round(seconds / 60), "minute");
  if (size < 86400) return relative.format(Math.round(seconds / 3600), "hour");
  if (size < 86400 * 45) return relative.format(Math.round(seconds / 86400), "day");
  return relative.format(Math.round(seconds / 86400 / 30.4), "month");
}

export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

// IN_PROGRESS: In progress.
export function words(name: string): string {
  const text = name.replace(/_/g, " ").toLowerCase();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export const providers: Record<string, string> = {
  LOCAL_REMOTE: "Disk or share",
  S3: "S3",
  AZURE_BLOB: "Azure Blob",
  GOOGLE_CLOUD: "Google Cloud",
  SFTP: "SFTP",
};

export type Tone = "good" | "warn" | "bad" | "info" | "quiet";

const tones: Record<Tone, string[]> = {
  good: ["VERIFIED", "COMPLETED", "SUCCEEDED", "PROTECTED", "HEALTHY", "REPLICATED", "PASSED", "ACTIVE", "CONFIRMED", "OK"],
  warn: [
    "EXPIRED",
    "WARNING",
    "AT_RISK",
    "DEGRADED",
    "SUCCEEDED_WITH_WARNINGS",
    "PARTIAL",
    "PAUSED",
    "WAITING",
    "RETRYING",
    "NEEDS_UPDATE",
    "SKIPPED",
    "HIGH",
  ],
  bad: ["FAILED", "ERROR", "CRITICAL", "UNPROTECTED", "UNHEALTHY", "REPLICATION_FAILED"],
  info: ["IN_PROGRESS", "VERIFYING", "RUNNING", "UPLOADING", "REPLICATING", "TESTING", "INFO"],
  quiet: [],
};

export function tone(word: string): Tone {
  return (Object.keys(tones) as Tone[]).find((name) => tones[name].includes(word)) ?? "quiet";
}

// A backup that was given no name is called after its type and time, by the server in UTC, here in the viewer's zone.
export function nameOf(backup: { name: string; type: string; createdAt: string | null }): string {
  const unnamed = /^[A-Z]+ \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/.test(backup.name) && backup.name.startsWith(`${backup.type} `);
  return unnamed && backup.createdAt ? `${words(backup.type)} of ${moment(backup.createdAt)}` : backup.name;
}
